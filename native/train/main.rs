//! Trains a classifier, by default a small OTJR model on the embedded set beside the same net trained with `ce`, and
//! reports how both fare under PGD-20.

mod estimate;
mod events;
mod extra;
mod html;
#[path = "../shell/memory.rs"]
mod memory;
mod plan;
mod plot;
mod recipe;
mod report;
mod run;
#[path = "../shell/mod.rs"]
mod shell;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::ArgMatches;
use events::Events;
use otjr::{
    config::{AttackConfig, TrainConfig},
    data::{Pictures, Splits},
    evaluate::{self, Pair, State},
    model::Model,
    platform::{self, Opened},
    train::{self, Record, Trainer, validation},
};
use report::{Outcome, Report};
use run::RunDirectory;
use shell::{
    console::Console,
    dataset::{self, Fetching},
    interrupt::Interrupt,
};

/// Steps between two reads from the device.
const READ_EVERY: u64 = 10;

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
    let console = Console { quiet: matches.get_flag("quiet") };
    let devices = plan::devices(matches)?;
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
    let estimating = matches.get_flag("plan");
    if !estimating && let Some(checkpoint) = RunDirectory::checkpoint(&out.join(config.objective.to_string()))? {
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
    let names: Vec<&str> = [&opened].into_iter().chain(&others).map(|opened| opened.name.as_str()).collect();
    let others: Vec<Device> = others.iter().map(|other| other.device.clone()).collect();
    console.say(format_args!(
        "{} on {}: {} training and {} test pictures, {} classes, {}",
        config.model,
        config.dataset,
        data.splits.train.len(),
        data.splits.test.len(),
        data.splits.train.classes.len(),
        names.join(", ")
    ));
    if !data.held_out.is_empty() {
        let n = data.held_out.len();
        console.say(format_args!("{n} pictures are set aside: the epoch that withstands best on them is kept"));
    }
    if !data.extra.is_empty() {
        let (n, share) = (data.extra.len(), 100.0 * config.extra_share);
        console.say(format_args!("{n} more in {}: {share:.0} % of each batch", config.extra));
    }
    if estimating {
        estimate::print(&config, &data.splits.train, &data.extra, &opened)?;
        return Ok(ExitCode::SUCCESS);
    }
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("it has a default"));
    let mut runs = Vec::new();
    for objective in [Some(config.objective), baseline].into_iter().flatten() {
        let config = TrainConfig { objective, ..config.clone() };
        let folder = out.join(objective.to_string());
        let machine = Machine { opened: &opened, others: &others, interrupt: &interrupt, console };
        let Some(Trained { model, steps, log, seconds }) = train(&config, &data, &machine, &folder, save_every)
            .with_context(|| format!("stopped; once that is mended, go on with: train --resume {}", out.display()))?
        else {
            return stopped();
        };
        let Some((state, pairs)) = evaluate(&model, &data.splits.test, &machine)? else {
            return stopped();
        };
        let accuracy = state.accuracy();
        let [clean, robust] = accuracy.shares().map(|share| share as f32);
        let scalars = [("accuracy/clean", clean), ("accuracy/pgd-20", robust)];
        Events::open(&folder, steps)?.write(steps, &scalars)?;
        runs.push(Outcome {
            objective: objective.to_string(),
            accuracy,
            classes: state.by_class(&data.splits.test),
            flags: state.flags.iter().map(ToString::to_string).collect(),
            attacks: state.records,
            seconds,
            model: folder.join("model.safetensors"),
            pairs,
            log,
        });
    }
    Report { config: &config, opened: &opened, data: &data.splits, runs: &runs }.write(&out, console)?;
    Ok(ExitCode::SUCCESS)
}

/// What a run learns from and is judged by.
struct Data {
    splits: Splits,
    /// Taken out of the training pictures to choose an epoch by.
    held_out: Pictures,
    /// From a second data set.
    extra: Pictures,
}

/// What a run is computed on, and who is told.
struct Machine<'a> {
    opened: &'a Opened,
    others: &'a [Device],
    interrupt: &'a Interrupt,
    console: Console,
}

/// What a run has come to.
struct Trained {
    model: Model,
    steps: u64,
    log: Vec<Record>,
    /// That all sittings took.
    seconds: f64,
}

/// Trains to the end of the run, or until it is interrupted: then there is nothing to return but a checkpoint on disk.
fn train(
    config: &TrainConfig,
    Data { splits: data, held_out, extra }: &Data,
    &Machine { opened, others, interrupt, console }: &Machine,
    folder: &Path,
    save_every: Duration,
) -> anyhow::Result<Option<Trained>> {
    let mut trainer = match RunDirectory::checkpoint(folder)? {
        Some(checkpoint) => Trainer::resume(&checkpoint, &data.train, &opened.device)?,
        None => Trainer::new(config, &data.train, &opened.device)?,
    };
    trainer.extra = extra.clone();
    trainer.others = others.to_vec();
    let steps = trainer.steps(&data.train);
    let per_epoch = steps / config.epochs as u64;
    let mut directory = RunDirectory::open(folder, trainer.step, per_epoch)?;
    let bar = (console.bar(steps, "{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?)
        .with_position(trainer.step)
        .with_prefix(config.objective.to_string());
    bar.reset_eta();
    let (begin, mut saved, mut read) = (Instant::now(), Instant::now(), (Instant::now(), trainer.step));
    loop {
        let epoch = trainer.step / per_epoch;
        let judged = directory.validations.last().map_or(0, |v| v.epoch);
        if !held_out.is_empty() && trainer.step % per_epoch == 0 && judged < epoch {
            let progress = |_: &State| interrupt.flow();
            let Some(judged) = pollster::block_on(validation::validate(&trainer, epoch, held_out, progress))? else {
                bar.abandon();
                return Ok(None);
            };
            let [clean, robust] = [judged.clean, judged.robust].map(|share| 100.0 * share);
            let text = format!("epoch {epoch}: clean {clean:.1} %, PGD-10 {robust:.1} % of those set aside");
            bar.suspend(|| console.say(text));
            directory.judge(&trainer, judged)?;
        }
        if trainer.step == steps || validation::is_over(&directory.validations, config.patience) {
            break;
        }
        trainer.step(&data.train);
        let stop = interrupt.raised();
        let to_be_judged = !held_out.is_empty() && trainer.step % per_epoch == 0;
        let save = stop || saved.elapsed() >= save_every || trainer.step == steps || to_be_judged;
        if save || trainer.step % READ_EVERY == 0 {
            let records = pollster::block_on(trainer.records(&data.train))?;
            let pictures = (trainer.step - read.1) as f64 * trainer.batch_size(&data.train) as f64;
            let rate = pictures / read.0.elapsed().as_secs_f64();
            read = (Instant::now(), trainer.step);
            if let Some(record) = records.last() {
                bar.set_message(format!("{}  {rate:.0} pictures/s", describe(record)));
            }
            directory.append(records, rate)?;
            bar.set_position(trainer.step);
        }
        if save {
            if bar.is_hidden() {
                // No terminal: a line now and then for whoever reads the log.
                let text = directory.records.last().map(describe).unwrap_or_default();
                console.say(format_args!("{} {}/{steps} steps: {text}", config.objective, trainer.step));
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
        console.say(format_args!(
            "Kept: epoch {} of {}, PGD-10 {at_best:.1} %; the last one had {at_last:.1} %: {:.1} points lost to robust overfitting",
            best.epoch,
            last.epoch,
            at_best - at_last
        ));
    }
    let model = directory.finish(&trainer, &opened.device)?;
    let seconds = directory.earlier() + begin.elapsed().as_secs_f64();
    Ok(Some(Trained { model, steps: trainer.step, log: directory.records, seconds }))
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

/// How the test pictures fare, clean and under PGD-20, and some of them to look at; none if interrupted.
fn evaluate(
    model: &Model,
    pictures: &Pictures,
    &Machine { opened, interrupt, console, .. }: &Machine,
) -> anyhow::Result<Option<(State, Vec<Pair>)>> {
    let bar = console
        .bar(pictures.len() as u64, "{prefix:>8} {bar:24} {pos}/{len} pictures, {eta} left  {msg}")?
        .with_prefix("PGD-20");
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
    if !state.finished {
        return Ok(None);
    }
    let shown = report::shown(pictures);
    let pairs = pollster::block_on(evaluate::pairs(model, pictures, &shown, &attack, &opened.device))?;
    Ok(Some((state, pairs)))
}
