//! Trains a classifier, by default a small OTJR model on the embedded set beside the same net trained with `ce`, and
//! reports how both fare under PGD-20.

mod events;
mod html;
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

use anyhow::Context;
use clap::ArgMatches;
use events::Events;
use otjr::{
    config::{AttackConfig, TrainConfig},
    data::Splits,
    evaluate::{self, Pair, State},
    platform::{self, DeviceChoice, Opened},
    train::{self, Record, Trainer},
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
    console.say(format_args!(
        "{} on {}: {} training and {} test pictures, {} classes, {}",
        config.model,
        config.dataset,
        data.train.len(),
        data.test.len(),
        data.train.classes.len(),
        opened.name
    ));
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("it has a default"));
    let mut runs = Vec::new();
    for objective in [Some(config.objective), baseline].into_iter().flatten() {
        let config = TrainConfig { objective, ..config.clone() };
        let folder = out.join(objective.to_string());
        let Some((trainer, log, seconds)) = train(&config, &data, &opened, &folder, save_every, &interrupt, console)
            .with_context(|| format!("stopped; once that is mended, go on with: train --resume {}", out.display()))?
        else {
            return stopped();
        };
        let Some((state, pairs)) = evaluate(&trainer, &data, &opened, &interrupt, console)? else {
            return stopped();
        };
        let accuracy = state.accuracy();
        let [clean, robust] = accuracy.shares().map(|share| share as f32);
        let scalars = [("accuracy/clean", clean), ("accuracy/pgd-20", robust)];
        Events::open(&folder, trainer.step)?.write(trainer.step, &scalars)?;
        runs.push(Outcome {
            objective: objective.to_string(),
            accuracy,
            classes: state.by_class(&data.test),
            flags: state.flags.iter().map(ToString::to_string).collect(),
            attacks: state.records,
            seconds,
            model: folder.join("model.safetensors"),
            pairs,
            log,
        });
    }
    Report { config: &config, opened: &opened, data: &data, runs: &runs }.write(&out, console)?;
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
    console: Console,
) -> anyhow::Result<Option<(Trainer, Vec<Record>, f64)>> {
    let mut trainer = match RunDirectory::checkpoint(folder)? {
        Some(checkpoint) => Trainer::resume(&checkpoint, &data.train, &opened.device)?,
        None => Trainer::new(config, &data.train, &opened.device)?,
    };
    let mut directory = RunDirectory::open(folder, trainer.step)?;
    let steps = trainer.steps(&data.train);
    let bar = (console.bar(steps, "{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?)
        .with_position(trainer.step)
        .with_prefix(config.objective.to_string());
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
    directory.save_model(&trainer)?;
    let seconds = directory.earlier() + begin.elapsed().as_secs_f64();
    Ok(Some((trainer, directory.records, seconds)))
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
    trainer: &Trainer,
    data: &Splits,
    opened: &Opened,
    interrupt: &Interrupt,
    console: Console,
) -> anyhow::Result<Option<(State, Vec<Pair>)>> {
    let bar = console
        .bar(data.test.len() as u64, "{prefix:>8} {bar:24} {pos}/{len} pictures, {eta} left  {msg}")?
        .with_prefix("PGD-20");
    bar.tick();
    let (model, attack) = (trainer.result(), AttackConfig::default());
    let progress = |state: &State| {
        let [clean, robust] = state.accuracy().shares();
        bar.set_position(state.next as u64);
        bar.set_message(format!("clean {:.1} %, at most {:.1} % robust", 100.0 * clean, 100.0 * robust));
        interrupt.flow()
    };
    let state = pollster::block_on(evaluate::accuracy(model, &data.test, &attack, 100, &opened.device, progress))?;
    bar.finish();
    if !state.finished {
        return Ok(None);
    }
    let shown = report::shown(&data.test);
    let pairs = pollster::block_on(evaluate::pairs(model, &data.test, &shown, &attack, &opened.device))?;
    Ok(Some((state, pairs)))
}
