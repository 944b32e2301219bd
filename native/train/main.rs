//! Trains a classifier, by default a small OTJR model on the embedded set beside the same net trained with `ce`, and
//! reports how both fare under PGD-20.

mod plan;
mod plot;
mod recipe;
mod run;
#[path = "../shell/mod.rs"]
mod shell;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use otjr::{
    config::{AttackConfig, Settings, TrainConfig},
    data::Splits,
    evaluate::{self, Accuracy, State},
    platform::{self, DeviceChoice, Opened},
    train::{self, Record, Trainer},
};
use run::RunDirectory;
use serde::Serialize;
use shell::{
    console::Console,
    dataset::{self, Fetching},
    files,
    interrupt::Interrupt,
};

/// Steps between two reads from the device.
const READ_EVERY: u64 = 10;

/// The result of one objective.
#[derive(Serialize)]
struct Outcome {
    objective: String,
    accuracy: Accuracy,
    seconds: f64,
    model: PathBuf,
}

fn main() -> ExitCode {
    match run(&plan::command().get_matches()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    // First of all: who is told to end before it listens just dies.
    let interrupt = Interrupt::listen()?;
    let console = Console::default();
    let device: DeviceChoice = matches
        .get_one::<String>("device")
        .expect("it has a default")
        .parse()
        .map_err(|e| anyhow::anyhow!("--device: {e}"))?;
    if let Some(threads) = matches.get_one::<u16>("threads") {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(*threads)).build_global()?;
    }
    let (config, baseline, out) = plan::read(matches)?;
    let stopped = || {
        println!("Stopped. To go on: train --resume {}", out.display());
        Ok(interrupt.exit_code())
    };

    let url = matches.get_one::<String>("data-url").map(String::as_str);
    let fetching = Fetching { url, console, interrupt: &interrupt };
    let limits = [config.limit, config.limit_test];
    let Some(mut data) = dataset::load(config.dataset, &config.data_dir, limits, &fetching)? else {
        return stopped();
    };
    if let Some(checkpoint) = RunDirectory::checkpoint(&out.join(config.objective.to_string()))? {
        data.join(&train::own_of(&checkpoint)?);
    }
    let opened = pollster::block_on(platform::open(device))?;
    println!(
        "{} on {}: {} training and {} test pictures, {} classes, {}",
        config.model,
        config.dataset,
        data.train.len(),
        data.test.len(),
        data.train.classes.len(),
        opened.name
    );
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("it has a default"));
    let mut outcomes = Vec::new();
    let mut logs = Vec::new();
    for objective in [Some(config.objective), baseline].into_iter().flatten() {
        let config = TrainConfig { objective, ..config.clone() };
        let folder = out.join(objective.to_string());
        let Some((trainer, records, seconds)) = train(&config, &data, &opened, &folder, save_every, &interrupt)
            .with_context(|| format!("stopped; once that is mended, go on with: train --resume {}", out.display()))?
        else {
            return stopped();
        };
        logs.push((objective.to_string(), records));
        let Some(accuracy) = evaluate(&trainer, &data, &opened, &interrupt)? else {
            return stopped();
        };
        let model = folder.join("model.safetensors");
        outcomes.push(Outcome { objective: objective.to_string(), accuracy, seconds, model });
    }
    report(&config, &opened, &outcomes, &logs, &out)?;
    Ok(ExitCode::SUCCESS)
}

/// Trains to the end of the run, or until it is interrupted: then there is nothing to return but a checkpoint on disk.
fn train(
    config: &TrainConfig,
    data: &Splits,
    opened: &Opened,
    folder: &Path,
    save_every: Duration,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<(Trainer, Vec<Record>, f64)>> {
    let mut trainer = match RunDirectory::checkpoint(folder)? {
        Some(checkpoint) => Trainer::resume(&checkpoint, &data.train, &opened.device)?,
        None => Trainer::new(config, &data.train, &opened.device)?,
    };
    let mut directory = RunDirectory::open(folder, trainer.step)?;
    let steps = trainer.steps(&data.train);
    let bar = ProgressBar::new(steps)
        .with_position(trainer.step)
        .with_prefix(config.objective.to_string())
        .with_style(ProgressStyle::with_template("{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?);
    bar.reset_eta();
    let (begin, mut saved, mut read) = (Instant::now(), Instant::now(), (Instant::now(), trainer.step));
    while trainer.step < steps {
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
    directory.save_model(&trainer)?;
    Ok(Some((trainer, directory.records, begin.elapsed().as_secs_f64())))
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
    trainer: &Trainer,
    data: &Splits,
    opened: &Opened,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Accuracy>> {
    let bar = ProgressBar::new(data.test.len() as u64)
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
    let state =
        pollster::block_on(evaluate::accuracy(trainer.result(), &data.test, &attack, 100, &opened.device, progress))?;
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
