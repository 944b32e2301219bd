//! Trains a classifier, by default a small OTJR model on the embedded set beside the same net trained with `ce`, and
//! reports how both fare under PGD-20.

mod cli;
mod dry_run;
mod events;
mod extra_data;
mod html;
mod plot;
mod recipe;
mod report;
mod run_dir;
mod train_loop;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::ArgMatches;
use cli::Run;
use events::Events;
use otjr::{
    attack::AttackConfig,
    data::ImageSet,
    evaluate::{self, Pair, State},
    kernel,
    model::Model,
    platform,
    train::{self, TrainConfig},
};
use otjr_cli::{
    console::Console,
    dataset::{self, Fetching},
    interrupt::Interrupt,
};
use report::{Outcome, Report};
use run_dir::RunDirectory;
use train_loop::{Data, Machine, Trained};

fn main() -> ExitCode {
    otjr_cli::main(|| run(&cli::command().get_matches()))
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    // First of all: who is told to end before it listens just dies.
    let interrupt = Interrupt::listen()?;
    let console = Console { quiet: matches.get_flag("quiet") };
    let devices = cli::devices(matches)?;
    if let Some(threads) = matches.get_one::<u16>("threads") {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(*threads)).build_global()?;
    }
    let Run { config, baseline, out } = cli::read(matches)?;
    let estimating = matches.get_flag("plan");
    let stopped = || {
        let again = if estimating { String::new() } else { format!(" To go on: train --resume {}", out.display()) };
        println!("Stopped.{again}");
        Ok(interrupt.exit_code())
    };

    let url = matches.get_one::<String>("data-url").map(String::as_str);
    let fetching = Fetching { url, console, interrupt: &interrupt };
    let limits = [config.limit, config.limit_test];
    let Some(mut data) = dataset::load(config.dataset, &config.data_dir, limits, &fetching)? else {
        return stopped();
    };
    if !estimating && let Some(checkpoint) = RunDirectory::checkpoint(&out.join(config.objective.to_string()))? {
        data.extend_with(&train::own_of(&checkpoint)?);
    }
    let held_out = data.train.split_off_stratified(config.validation);
    let extra = match config.extra.as_str() {
        "" => ImageSet::default(),
        path => extra_data::load(path, &data.train.classes)?,
    };
    let weights = if estimating { None } else { run_dir::weights(&out)? };
    let data = Data { splits: data, held_out, extra: extra.into(), weights };
    let mut opened = devices.into_iter().map(|device| pollster::block_on(platform::open(device)));
    let Some(first) = opened.next() else { bail!("--devices: none is named") };
    let (opened, others) = (first?, opened.collect::<Result<Vec<_>, _>>()?);
    let names: Vec<&str> = [&opened].into_iter().chain(&others).map(|opened| opened.name.as_str()).collect();
    console.say(format_args!(
        "{} on {}: {} training and {} test images, {} classes, {}",
        config.model,
        config.dataset,
        data.splits.train.len(),
        data.splits.test.len(),
        data.splits.train.classes.len(),
        names.join(", ")
    ));
    if config.mixed {
        let exact = [&opened].into_iter().chain(&others).find(|opened| !kernel::supports_f16(&opened.device));
        console.say(match exact {
            None => "Convolutions multiply in float16 and add in float32".to_owned(),
            Some(exact) => format!("{} cannot multiply in float16: there convolutions stay in float32", exact.name),
        });
    }
    if !data.held_out.is_empty() {
        let n = data.held_out.len();
        console.say(format_args!("{n} images are set aside: the epoch that withstands best on them is kept"));
    }
    if !data.extra.is_empty() {
        let (n, share) = (data.extra.len(), 100.0 * config.extra_share);
        console.say(format_args!("{n} more in {}: {share:.0} % of each batch", config.extra));
    }
    if estimating {
        dry_run::print(&config, &data, &opened, &others)?;
        return Ok(ExitCode::SUCCESS);
    }
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("it has a default"));
    let mut runs = Vec::new();
    for objective in [Some(config.objective), baseline].into_iter().flatten() {
        let config = TrainConfig { objective, ..config.clone() };
        let folder = out.join(objective.to_string());
        let machine = Machine { opened: &opened, others: &others, interrupt: &interrupt, console };
        let Some(Trained { model, steps, log, validations, seconds }) =
            train_loop::train(&config, &data, &machine, &folder, save_every).map_err(|error| advise(error, &out))?
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
            validations,
        });
    }
    Report { config: &config, opened: &opened, data: &data.splits, runs: &runs }.write(&out, console)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the run can go on after an error: not if it would only come to it again.
fn advise(error: anyhow::Error, out: &Path) -> anyhow::Error {
    match error.downcast_ref::<train::Error>() {
        None | Some(train::Error::Device(_)) => {
            error.context(format!("stopped; once that is mended, go on with: train --resume {}", out.display()))
        }
        Some(train::Error::Diverged { .. }) => error.context("stopped; begin another run, with other settings"),
        Some(_) => error,
    }
}

/// How the test images fare, clean and under PGD-20, and some of them to look at; none if interrupted.
fn evaluate(
    model: &Model,
    images: &ImageSet,
    &Machine { opened, interrupt, console, .. }: &Machine,
) -> anyhow::Result<Option<(State, Vec<Pair>)>> {
    let bar = console
        .bar(images.len() as u64, "{prefix:>8} {bar:24} {pos}/{len} images, {eta} left  {msg}")?
        .with_prefix("PGD-20");
    bar.tick();
    let attack = AttackConfig::default();
    let progress = |state: &State| {
        let [clean, robust] = state.accuracy().shares();
        bar.set_position(state.next as u64);
        bar.set_message(format!("clean {:.1} %, at most {:.1} % robust", 100.0 * clean, 100.0 * robust));
        interrupt.flow()
    };
    let state = pollster::block_on(evaluate::accuracy(model, images, &attack, 100, &opened.device, progress))?;
    bar.finish();
    if !state.finished {
        return Ok(None);
    }
    let shown = report::shown(images);
    let pairs = pollster::block_on(evaluate::pairs(model, images, &shown, &attack, &opened.device))?;
    Ok(Some((state, pairs)))
}
