//! Trains a classifier, by default a small OTJR model on the embedded set beside the same net trained with `ce`, and
//! reports how both fare under PGD-20.

mod estimate;
mod extra;
#[path = "../shell/memory.rs"]
mod memory;
mod plot;
mod recipe;
mod run;
#[path = "../shell/mod.rs"]
mod shell;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use indicatif::{ProgressBar, ProgressStyle};
use otjr::{
    checkpoint::Checkpoint,
    config::{AttackConfig, Dataset, Objective, Settings, TrainConfig},
    data::{Pictures, Splits},
    evaluate::{self, Accuracy, State},
    model::Model,
    platform::{self, DeviceChoice, Opened},
    train::{self, Record, Trainer, validation},
};
use run::RunDirectory;
use serde::{Deserialize, Serialize};
use shell::{arguments, dataset, files, interrupt::Interrupt, unused};

/// Steps between two reads from the device.
const READ_EVERY: u64 = 10;

fn command() -> Command {
    let (paper, demo) = (TrainConfig::default(), TrainConfig::demo());
    let default = move |setting: &otjr::config::Setting| {
        let [paper, demo] =
            [&paper, &demo].map(|c| c.get(setting.key).filter(|v| !v.is_empty()).unwrap_or("none".into()));
        match setting.key {
            "dataset" => demo,
            _ if paper == demo => paper,
            _ => format!("{demo}; with another --dataset {paper}"),
        }
    };
    let command = Command::new("train")
        .args_override_self(true)
        .about("Trains a classifier that withstands adversarial pictures, and measures whether it does")
        .after_help(format!(
            "With no argument: a small OTJR model on the embedded set beside the same net trained with ce, in minutes.\n\
             The paper's run: train --recipe otjr-cifar10 --data-dir cifar-10-binary.tar.gz --device gpu\n\
             Interrupted runs go on with: train --resume DIR\n\
             A run that was saved in the page goes on with: train --resume FILE\n\n\
             Recipes:\n{}",
            recipe::list()
        ))
        .arg(Arg::new("recipe").long("recipe").value_name("NAME|FILE").help(
            "Settings under a name, listed below, or in a file of `setting = value` lines; other options overrule them",
        ))
        .arg(Arg::new("baseline").long("baseline").value_name("OBJECTIVE").help(
            "Also train this objective on the same budget and compare; none for no comparison \
             [default: ce; with another --dataset none]",
        ))
        .arg(Arg::new("device").long("device").value_name("DEVICE").default_value("auto").help(
            "auto (a real GPU if there is one, else the CPU), cpu, gpu or gpu:N",
        ))
        .arg(Arg::new("devices").long("devices").value_name("LIST").value_delimiter(',').conflicts_with("device").help(
            "Several devices, 0,1 for the first two GPUs: each takes its part of every batch and normalises it by itself",
        ))
        .arg(Arg::new("threads").long("threads").value_name("N").value_parser(clap::value_parser!(u16).range(1..))
            .help("Threads of the CPU [default: all cores]"))
        .arg(Arg::new("out").long("out").value_name("DIR").help("Where to write [default: runs/NAME, numbered if taken]"))
        .arg(Arg::new("resume").long("resume").value_name("DIR|FILE|auto").help(
            "Go on with the run in DIR, exactly as it was, or with the run whose checkpoint is FILE, in a directory of its own; \
             auto: with the run in --out, or begin it there",
        ))
        .arg(Arg::new("plan").long("plan").action(ArgAction::SetTrue).conflicts_with("resume")
            .help("Say what the run would take in time and memory, from a few steps of it, and do not train"))
        .arg(Arg::new("save-every").long("save-every").value_name("SECONDS").default_value("30")
            .value_parser(clap::value_parser!(u64)).help("Time between checkpoints"));
    arguments::options(command, TrainConfig::settings(), "Settings", default)
}

/// What a run directory is about; kept in its `run.json`.
#[derive(Serialize, Deserialize)]
struct Plan {
    config: Vec<(String, String)>,
    baseline: Option<String>,
}

/// The result of one objective.
#[derive(Serialize)]
struct Outcome {
    objective: String,
    accuracy: Accuracy,
    seconds: f64,
    model: PathBuf,
}

fn main() -> ExitCode {
    match run(&command().get_matches()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let devices = devices(matches)?;
    if let Some(threads) = matches.get_one::<u16>("threads") {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(*threads)).build_global()?;
    }
    let (config, baseline, out) = match matches.get_one::<String>("resume") {
        Some(auto) if auto == "auto" => found(matches)?,
        Some(file) if Path::new(file).is_file() => moved(matches, Path::new(file))?,
        Some(folder) => {
            refuse_settings(matches, &[])?;
            resumed(Path::new(folder))?
        }
        None => planned(matches)?,
    };
    let interrupt = Interrupt::listen()?;

    let mut data = dataset::load(config.dataset, &config.data_dir, [config.limit, config.limit_test])?;
    let plan = matches.get_flag("plan");
    if !plan && let Some(checkpoint) = RunDirectory::checkpoint(&out.join(config.objective.to_string()))? {
        data.join(&train::own_of(&checkpoint)?);
    }
    let held_out = data.train.set_aside(config.validation);
    let extra = match config.extra.as_str() {
        "" => Pictures::default(),
        path => extra::load(path, &data.train.classes)?,
    };
    let data = Data { splits: data, held_out, extra };
    let mut opened = devices.into_iter().map(|device| pollster::block_on(platform::open(device)));
    let Some(first) = opened.next() else { bail!("--devices: none is named") };
    let (opened, others) = (first?, opened.collect::<Result<Vec<_>, _>>()?);
    for other in &others {
        println!("with {}", other.name);
    }
    let others: Vec<Device> = others.into_iter().map(|other| other.device).collect();
    println!(
        "{} on {}: {} training and {} test pictures, {} classes, {}",
        config.model,
        config.dataset,
        data.splits.train.len(),
        data.splits.test.len(),
        data.splits.train.classes.len(),
        opened.name
    );
    if !data.held_out.is_empty() {
        println!("{} pictures are set aside: the epoch that withstands best on them is kept", data.held_out.len());
    }
    if !data.extra.is_empty() {
        println!("{} more in {}: {:.0} % of each batch", data.extra.len(), config.extra, 100.0 * config.extra_share);
    }
    if plan {
        estimate::print(&config, &data.splits.train, &data.extra, &opened)?;
        return Ok(ExitCode::SUCCESS);
    }
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("it has a default"));
    let mut outcomes = Vec::new();
    let mut logs = Vec::new();
    for objective in [Some(config.objective), baseline].into_iter().flatten() {
        let config = TrainConfig { objective, ..config.clone() };
        let folder = out.join(objective.to_string());
        let Some((model, records, seconds)) =
            train(&config, &data, (&opened, &others), &folder, save_every, &interrupt).with_context(|| {
                format!("stopped; once that is mended, go on with: train --resume {}", out.display())
            })?
        else {
            println!("Stopped. To go on: train --resume {}", out.display());
            return Ok(interrupt.exit_code());
        };
        logs.push((objective.to_string(), records));
        let Some(accuracy) = evaluate(&model, &data.splits.test, &opened, &interrupt)? else {
            println!("Stopped. To go on: train --resume {}", out.display());
            return Ok(interrupt.exit_code());
        };
        let model = folder.join("model.safetensors");
        outcomes.push(Outcome { objective: objective.to_string(), accuracy, seconds, model });
    }
    report(&config, &opened, &outcomes, &logs, &out)?;
    Ok(ExitCode::SUCCESS)
}

/// The devices to train on.
fn devices(matches: &ArgMatches) -> anyhow::Result<Vec<DeviceChoice>> {
    let parse = |option, name: &str| -> anyhow::Result<DeviceChoice> {
        let numbered = name.parse().ok().map(|n| DeviceChoice::Gpu(Some(n)));
        numbered.map_or_else(|| name.parse().map_err(|e| anyhow::anyhow!("--{option}: {e}")), Ok)
    };
    match matches.get_many::<String>("devices") {
        Some(names) => names.map(|name| parse("devices", name)).collect(),
        None => Ok(vec![parse("device", matches.get_one::<String>("device").expect("it has a default"))?]),
    }
}

/// A new run: its config, the objective to compare with, and its directory.
fn planned(matches: &ArgMatches) -> anyhow::Result<(TrainConfig, Option<Objective>, PathBuf)> {
    let (dataset, recipe) = (matches.get_one::<String>("dataset"), matches.get_one::<String>("recipe"));
    let embedded = recipe.is_none() && dataset.is_none_or(|d| *d == Dataset::Synthetic.to_string());
    let mut config = match recipe {
        Some(name) => recipe::read(name)?,
        None if embedded => TrainConfig::demo(),
        None => TrainConfig::default(),
    };
    apply(&mut config, matches)?;
    let baseline = match matches.get_one::<String>("baseline").map(String::as_str) {
        None if embedded && config.objective != Objective::Ce => Some(Objective::Ce),
        None | Some("none") => None,
        Some(name) => Some(name.parse().map_err(|e| anyhow::anyhow!("--baseline: {e}"))?),
    };
    if baseline == Some(config.objective) {
        bail!("--baseline {}: it is the objective itself", config.objective);
    }
    if matches.get_flag("plan") {
        return Ok((config, baseline, PathBuf::new()));
    }
    planned_at(matches, config, baseline)
}

/// Makes the directory of a run.
fn planned_at(
    matches: &ArgMatches,
    config: TrainConfig,
    baseline: Option<Objective>,
) -> anyhow::Result<(TrainConfig, Option<Objective>, PathBuf)> {
    let out = match matches.get_one::<String>("out") {
        Some(out) => {
            let out = PathBuf::from(out);
            if out.join("run.json").exists() {
                bail!("{0} holds a run: go on with it by --resume {0}, or choose another --out", out.display());
            }
            out
        }
        None => unused(&format!("{}-{}-{}", config.dataset, config.model, config.objective)),
    };
    fs::create_dir_all(&out).with_context(|| format!("could not create the directory {}", out.display()))?;
    let plan = Plan {
        config: config.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        baseline: baseline.map(|objective| objective.to_string()),
    };
    files::write(&out.join("run.json"), serde_json::to_string_pretty(&plan)?.as_bytes())?;
    Ok((config, baseline, out))
}

/// Sets what was given on the command line.
fn apply(config: &mut TrainConfig, matches: &ArgMatches) -> anyhow::Result<()> {
    for setting in TrainConfig::settings() {
        if matches.value_source(setting.key) == Some(ValueSource::CommandLine) {
            let value: &String = matches.get_one(setting.key).expect("it was given");
            config.set(setting.key, value).map_err(|e| anyhow::anyhow!("--{e}"))?;
        }
    }
    Ok(())
}

/// A run whose checkpoint came from elsewhere, in a directory of its own.
fn moved(matches: &ArgMatches, file: &Path) -> anyhow::Result<(TrainConfig, Option<Objective>, PathBuf)> {
    // The page knows of no directories.
    refuse_settings(matches, &["data-dir", "out"])?;
    let bytes = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| file.display().to_string())?;
    let mut config = train::config_of(&checkpoint).with_context(|| file.display().to_string())?;
    apply(&mut config, matches)?;
    let (config, _, out) = planned_at(matches, config, None)?;
    let folder = out.join(config.objective.to_string());
    fs::create_dir_all(&folder).with_context(|| format!("could not create the directory {}", folder.display()))?;
    files::write(&RunDirectory::checkpoint_path(&folder), &bytes)?;
    Ok((config, None, out))
}

/// The run in the directory that was named for it, or a new one there: the same command begins and goes on, as a
/// scheduler gives it.
fn found(matches: &ArgMatches) -> anyhow::Result<(TrainConfig, Option<Objective>, PathBuf)> {
    let out = matches.get_one::<String>("out").context("--resume auto needs --out: where the run is, or will be")?;
    if Path::new(out).join("run.json").exists() { resumed(Path::new(out)) } else { planned(matches) }
}

/// The run in a directory.
fn resumed(folder: &Path) -> anyhow::Result<(TrainConfig, Option<Objective>, PathBuf)> {
    let path = folder.join("run.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a run: could not read {}", folder.display(), path.display()))?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let mut config = TrainConfig::default();
    for (key, value) in &plan.config {
        config.set(key, value).with_context(|| path.display().to_string())?;
    }
    let baseline =
        plan.baseline.map(|name| name.parse().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))).transpose()?;
    Ok((config, baseline, folder.to_owned()))
}

/// Settings are part of a run: giving others, but for some, would make it another run.
fn refuse_settings(matches: &ArgMatches, but: &[&str]) -> anyhow::Result<()> {
    let mut given = TrainConfig::settings().into_iter().map(|setting| setting.key).chain(["baseline", "out", "recipe"]);
    let other =
        |key: &&str| !but.contains(key) && matches.value_source(key).is_some_and(|s| s != ValueSource::DefaultValue);
    match given.find(other) {
        Some(key) => bail!("--resume goes on with the run as it was: leave out --{key}, or start another run"),
        None => Ok(()),
    }
}

/// What a run learns from and is judged by.
struct Data {
    splits: Splits,
    /// Taken out of the training pictures to choose an epoch by.
    held_out: Pictures,
    /// From a second data set.
    extra: Pictures,
}

/// Trains to the end of the run, or until it is interrupted: then there is nothing to return but a checkpoint on disk.
fn train(
    config: &TrainConfig,
    Data { splits: data, held_out, extra }: &Data,
    (opened, others): (&Opened, &[Device]),
    folder: &Path,
    save_every: Duration,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<(Model, Vec<Record>, f64)>> {
    let mut trainer = match RunDirectory::checkpoint(folder)? {
        Some(checkpoint) => Trainer::resume(&checkpoint, &data.train, &opened.device)?,
        None => Trainer::new(config, &data.train, &opened.device)?,
    };
    trainer.extra = extra.clone();
    trainer.others = others.to_vec();
    let steps = trainer.steps(&data.train);
    let per_epoch = steps / config.epochs as u64;
    let mut directory = RunDirectory::open(folder, trainer.step, per_epoch)?;
    let bar = ProgressBar::new(steps)
        .with_position(trainer.step)
        .with_prefix(config.objective.to_string())
        .with_style(ProgressStyle::with_template("{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?);
    bar.reset_eta();
    let (begin, mut saved, mut read) = (Instant::now(), Instant::now(), (Instant::now(), trainer.step));
    loop {
        let epoch = trainer.step / per_epoch;
        let judged = directory.validations.last().map_or(0, |v| v.epoch);
        if !held_out.is_empty() && trainer.step % per_epoch == 0 && judged < epoch {
            let progress = |_: &State| interrupt.flow();
            let judged = pollster::block_on(validation::validate(&trainer, epoch, held_out, progress))?;
            if let Some(judged) = judged {
                let [clean, robust] = [judged.clean, judged.robust].map(|share| 100.0 * share);
                bar.suspend(|| println!("epoch {epoch}: clean {clean:.1} %, PGD-10 {robust:.1} % of those set aside"));
                directory.judge(&trainer, judged)?;
            }
        }
        if trainer.step == steps || validation::is_over(&directory.validations, config.patience) {
            break;
        }
        trainer.step(&data.train);
        let stop = interrupt.raised();
        let save = stop || saved.elapsed() >= save_every || trainer.step == steps;
        if save || trainer.step % READ_EVERY == 0 {
            let records = pollster::block_on(trainer.records(&data.train))?;
            let pictures = (trainer.step - read.1) as f64 * trainer.batch_size(&data.train) as f64;
            let rate = pictures / read.0.elapsed().as_secs_f64();
            read = (Instant::now(), trainer.step);
            if let Some(record) = records.last() {
                bar.set_message(format!("{}  {rate:.0} pictures/s", describe(record)));
            }
            directory.append(records)?;
            bar.set_position(trainer.step);
        }
        if save {
            if bar.is_hidden() {
                // No terminal: a line now and then for whoever reads the log.
                let text = directory.records.last().map(describe).unwrap_or_default();
                println!("{} {}/{steps} steps: {text}", config.objective, trainer.step);
            }
            directory.save(&trainer)?;
            saved = Instant::now();
        }
        if stop {
            bar.abandon();
            return Ok(None);
        }
    }
    bar.finish();
    let history = &directory.validations;
    if let (Some(best), Some(last)) = (validation::best(history), history.last()) {
        let [at_best, at_last] = [best.robust, last.robust].map(|share| 100.0 * share);
        println!(
            "Kept: epoch {} of {}, PGD-10 {at_best:.1} %; the last one had {at_last:.1} %: {:.1} points lost to robust overfitting",
            best.epoch,
            last.epoch,
            at_best - at_last
        );
    }
    let model = directory.finish(&trainer, &opened.device)?;
    Ok(Some((model, directory.records, begin.elapsed().as_secs_f64())))
}

/// `loss 1.234 = CE 1.1, L_SW 0.002, R 0.3`.
fn describe(record: &Record) -> String {
    let mut text = format!("loss {:.3}, CE {:.3}", record.loss, record.ce);
    if let Some(distance) = record.distance {
        text += &format!(", distance {distance:.4}");
    }
    if let Some(jacobian) = record.jacobian {
        text += &format!(", R {jacobian:.3}");
    }
    text
}

/// Clean and PGD-20 accuracy on the test pictures; none if interrupted.
fn evaluate(
    model: &Model,
    pictures: &Pictures,
    opened: &Opened,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Accuracy>> {
    let bar = ProgressBar::new(pictures.len() as u64)
        .with_prefix("PGD-20")
        .with_style(ProgressStyle::with_template("{prefix:>8} {bar:24} {pos}/{len} pictures, {eta} left  {msg}")?);
    bar.tick();
    let attack = AttackConfig::default();
    let progress = |state: &State| {
        let [clean, robust] = state.accuracy().shares();
        bar.set_position(state.next as u64);
        bar.set_message(format!("clean {:.1} %, at most {:.1} % robust", 100.0 * clean, 100.0 * robust));
        interrupt.flow()
    };
    let state = pollster::block_on(evaluate::accuracy(model, pictures, &attack, 100, &opened.device, progress))?;
    bar.finish();
    Ok(state.finished.then(|| state.accuracy()))
}

/// Prints and writes what was found.
fn report(
    config: &TrainConfig,
    opened: &Opened,
    outcomes: &[Outcome],
    logs: &[(String, Vec<Record>)],
    out: &Path,
) -> anyhow::Result<()> {
    let attack = AttackConfig::default();
    let title = format!("PGD-{} {}", attack.steps, attack.get("epsilon").unwrap_or_default());
    let mut table = format!("| objective | clean | {title} | training |\n|---|---:|---:|---:|\n");
    for outcome in outcomes {
        let [clean, robust] = outcome.accuracy.shares().map(|share| 100.0 * share);
        table += &format!("| {} | {clean:.1} % | {robust:.1} % | {:.0} s |\n", outcome.objective, outcome.seconds);
    }
    println!("\n{table}");
    let heading = format!(
        "# {} on {}\n\n{} epochs, batch {}, seed {}, {}; accuracy on {} test pictures.\n\n",
        config.model,
        config.dataset,
        config.epochs,
        config.batch,
        config.seed,
        opened.name,
        outcomes[0].accuracy.pictures
    );
    let report = out.join("report.md");
    files::write(&report, format!("{heading}{table}\n![curves](curves.svg)\n").as_bytes())?;
    files::write(&out.join("report.json"), serde_json::to_string_pretty(outcomes)?.as_bytes())?;
    let curves = out.join("curves.svg");
    files::write(&curves, plot::curves(logs, outcomes.iter().map(|o| o.accuracy.shares()).collect())?.as_bytes())?;
    println!("Written: {}, {}", report.display(), curves.display());
    for outcome in outcomes {
        println!("         {} (opens in the page)", outcome.model.display());
    }
    Ok(())
}
