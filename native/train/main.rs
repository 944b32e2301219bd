//! Trains a classifier and reports its clean accuracy and its accuracy under PGD-20. By default it trains a small OTJR
//! model on generated shapes, and the same network with `ce` as a baseline.

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
    loss::Objective,
    model::Model,
    platform::{self, DeviceChoice, Opened},
    train::{self, TrainConfig},
};
use otjr_cli::{
    console::Console,
    dataset::{self, DownloadOptions},
    interrupt::Interrupt,
};
use report::{Outcome, Report};
use run_dir::RunDirectory;
use train_loop::{Data, TrainEnv, Trained};

fn main() -> ExitCode {
    otjr_cli::main(|| run(&cli::command().get_matches()))
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    // Install the signal handlers first.
    let interrupt = Interrupt::listen()?;
    let console = Console { quiet: matches.get_flag("quiet") };
    let devices = cli::devices(matches)?;
    if let Some(threads) = matches.get_one::<u16>("threads") {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(*threads)).build_global()?;
    }
    let run = cli::read(matches)?;
    let dry_run = matches.get_flag("plan");
    let stopped = || {
        let resume =
            if dry_run { String::new() } else { format!(" To continue: train --resume {}", run.out.display()) };
        println!("Stopped.{resume}");
        Ok(interrupt.exit_code())
    };
    let url = matches.get_one::<String>("data-url").map(String::as_str);
    let download = DownloadOptions { url, console, interrupt: &interrupt };
    let Some(data) = load_data(&run, dry_run, &download)? else { return stopped() };
    let (opened, others) = open_devices(devices)?;
    let env = TrainEnv { opened: &opened, others: &others, interrupt: &interrupt, console };
    print_summary(&run.config, &data, &env);
    if dry_run {
        dry_run::print(&run.config, &data, &opened, &others)?;
        return Ok(ExitCode::SUCCESS);
    }
    let save_every = Duration::from_secs(*matches.get_one("save-every").expect("the option has a default"));
    let mut outcomes = Vec::new();
    for objective in [Some(run.config.objective), run.baseline].into_iter().flatten() {
        let Some(outcome) = train_objective(&run, objective, &data, &env, save_every)? else { return stopped() };
        outcomes.push(outcome);
    }
    let report = Report { config: &run.config, opened: &opened, data: &data.splits, runs: &outcomes };
    report.write(&run.out, console)?;
    Ok(ExitCode::SUCCESS)
}

/// Loads the data sets and the initial weights. Returns `None` if the download was interrupted.
fn load_data(run: &Run, dry_run: bool, download: &DownloadOptions) -> anyhow::Result<Option<Data>> {
    let Run { config, out, .. } = run;
    let limits = [config.limit, config.limit_test];
    let Some(mut splits) = dataset::load(config.dataset, &config.data_dir, limits, download)? else {
        return Ok(None);
    };
    if !dry_run && let Some(checkpoint) = RunDirectory::checkpoint(&out.join(config.objective.to_string()))? {
        splits.extend_with(&train::own_of(&checkpoint)?);
    }
    let held_out = splits.train.split_off_stratified(config.validation);
    let extra = match config.extra.as_str() {
        "" => ImageSet::default(),
        path => extra_data::load(path, &splits.train.classes)?,
    };
    let weights = if dry_run { None } else { run_dir::weights(out)? };
    Ok(Some(Data { splits, held_out, extra: extra.into(), weights }))
}

/// Opens the devices. The first one holds the run.
fn open_devices(devices: Vec<DeviceChoice>) -> anyhow::Result<(Opened, Vec<Opened>)> {
    let mut opened = devices.into_iter().map(|device| pollster::block_on(platform::open(device)));
    let Some(first) = opened.next() else { bail!("--devices names no device") };
    Ok((first?, opened.collect::<Result<Vec<_>, _>>()?))
}

/// Prints the network, the data and the devices.
fn print_summary(config: &TrainConfig, data: &Data, env: &TrainEnv) {
    let console = env.console;
    let devices = || [env.opened].into_iter().chain(env.others);
    let names: Vec<&str> = devices().map(|opened| opened.name.as_str()).collect();
    console.print(format_args!(
        "{} on {}: {} training and {} test images, {} classes, {}",
        config.model,
        config.dataset,
        data.splits.train.len(),
        data.splits.test.len(),
        data.splits.train.classes.len(),
        names.join(", ")
    ));
    if config.mixed {
        console.print(match devices().find(|opened| !kernel::supports_f16(&opened.device)) {
            None => "Mixed precision: convolutions multiply in float16 and add in float32".to_owned(),
            Some(without) => format!("{} does not support float16: its convolutions use float32", without.name),
        });
    }
    if !data.held_out.is_empty() {
        let n = data.held_out.len();
        console
            .print(format_args!("{n} images are held out: the epoch with the highest robust accuracy on them is kept"));
    }
    if !data.extra.is_empty() {
        let (n, share) = (data.extra.len(), 100.0 * config.extra_share);
        console.print(format_args!("{n} extra images from {}: {share:.0} % of each batch", config.extra));
    }
}

/// Trains the model of one objective and evaluates it. Returns `None` if interrupted.
fn train_objective(
    run: &Run,
    objective: Objective,
    data: &Data,
    env: &TrainEnv,
    save_every: Duration,
) -> anyhow::Result<Option<Outcome>> {
    let config = TrainConfig { objective, ..run.config.clone() };
    let folder = run.out.join(objective.to_string());
    let trained = train_loop::train(&config, data, env, &folder, save_every);
    let Some(trained) = trained.map_err(|error| add_advice(error, &run.out))? else { return Ok(None) };
    let Trained { model, steps, log, validations, seconds } = trained;
    let test = &data.splits.test;
    let Some((state, pairs)) = evaluate(&model, test, env)? else { return Ok(None) };
    let accuracy = state.accuracy();
    let [clean, robust] = accuracy.shares().map(|share| share as f32);
    Events::open(&folder, steps)?.write(steps, &[("accuracy/clean", clean), ("accuracy/pgd-20", robust)])?;
    Ok(Some(Outcome {
        objective: objective.to_string(),
        accuracy,
        classes: state.by_class(test),
        flags: state.flags.iter().map(ToString::to_string).collect(),
        attacks: state.records,
        seconds,
        model: folder.join("model.safetensors"),
        pairs,
        log,
        validations,
    }))
}

/// Adds to an error whether the run can be resumed. A diverged run would diverge again.
fn add_advice(error: anyhow::Error, out: &Path) -> anyhow::Error {
    match error.downcast_ref::<train::Error>() {
        None | Some(train::Error::Device(_)) => {
            error.context(format!("stopped; solve the problem, then continue with: train --resume {}", out.display()))
        }
        Some(train::Error::Diverged { .. }) => error.context("stopped; start a new run with other settings"),
        Some(_) => error,
    }
}

/// Evaluates the test images, clean and under PGD-20, and returns some adversarial images for the report. Returns
/// `None` if interrupted.
fn evaluate(
    model: &Model,
    images: &ImageSet,
    &TrainEnv { opened, interrupt, console, .. }: &TrainEnv,
) -> anyhow::Result<Option<(State, Vec<Pair>)>> {
    let bar = console
        .progress_bar(images.len() as u64, "{prefix:>8} {bar:24} {pos}/{len} images, {eta} left  {msg}")?
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
    let examples = report::example_images(images);
    let pairs = pollster::block_on(evaluate::pairs(model, images, &examples, &attack, &opened.device))?;
    Ok(Some((state, pairs)))
}
