//! Command line of `train`: a new run, or a run to resume.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use otjr::{
    data::Dataset,
    loss::Objective,
    model::{Architecture, Model},
    platform::DeviceChoice,
    settings::Settings,
    train::{self, TrainConfig},
};
use serde::{Deserialize, Serialize};

use otjr_cli::{arguments, files, unused_run_dir};

use crate::{
    recipe,
    run_dir::{self, CheckpointFile, RunDirectory},
};

pub fn command() -> Command {
    let (paper, demo) = (TrainConfig::default(), TrainConfig::demo());
    let default = move |setting: &otjr::settings::Setting| {
        let [paper, demo] =
            [&paper, &demo].map(|c| c.get(setting.key).filter(|v| !v.is_empty()).unwrap_or("none".into()));
        match setting.key {
            "dataset" => demo,
            _ if paper == demo => paper,
            _ => format!("{demo}; with --recipe or another --dataset {paper}"),
        }
    };
    let command = Command::new("train")
        .args_override_self(true)
        .about("Train an adversarially robust image classifier and measure its accuracy")
        .after_help(format!(
            "Without arguments: train a small OTJR model on generated shapes and the same network with ce, in minutes.\n\
             The paper's settings: train --recipe otjr-cifar10 --device gpu\n\
             Resume an interrupted run: train --resume DIR\n\
             Resume a run that was saved in the page: train --resume FILE\n\n\
             Recipes:\n{}",
            recipe::list()
        ))
        .arg(Arg::new("recipe").long("recipe").value_name("NAME|FILE").help(
            "A named set of settings (see below), or a TOML file of settings; other options override it",
        ))
        .arg(Arg::new("baseline").long("baseline").value_name("OBJECTIVE").help(
            "Also train this objective with the same settings, for comparison; none to train only one \
             [default: ce; with --recipe or another --dataset none]",
        ))
        .arg(Arg::new("device").long("device").value_name("DEVICE").default_value("auto")
            .help(DeviceChoice::NAMES))
        .arg(Arg::new("devices").long("devices").value_name("LIST").value_delimiter(',').conflicts_with("device").help(
            "Several devices that each compute a part of every batch, with batch statistics of that part: 0,1 are the first \
             two GPUs; ws://HOST:PORT is a device served by `serve-device` (needs a build with --features remote; cuda:N \
             and rocm:N need --features cuda or rocm)",
        ))
        .arg(Arg::new("threads").long("threads").value_name("N").value_parser(clap::value_parser!(u16).range(1..))
            .help("CPU threads [default: all cores]"))
        .arg(Arg::new("out").long("out").value_name("DIR").help("Output directory [default: runs/NAME, with a number if it exists]"))
        .arg(Arg::new("resume").long("resume").value_name("DIR|FILE|auto").help(
            "Resume the run in DIR with its own settings, or copy the run of the checkpoint FILE to a new directory and resume \
             it; auto: resume the run in --out, or start it there",
        ))
        .arg(Arg::new("weights").long("weights").value_name("FILE").conflicts_with_all(["model", "normalize"]).help(
            "Start from the weights of a trained model; the last layer's rows for classes that it lacks are initialized \
             randomly",
        ))
        .arg(Arg::new("plan").long("plan").action(ArgAction::SetTrue).conflicts_with("resume")
            .help("Estimate the time and memory of the run from a few steps, and do not train"))
        .arg(Arg::new("save-every").long("save-every").value_name("SECONDS").default_value("30")
            .value_parser(clap::value_parser!(u64)).help("Time between checkpoints"))
        .arg(arguments::data_url())
        .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue)
            .help("Print only errors and, in the last line, the output paths"));
    arguments::options(command, TrainConfig::settings(), "Settings", default)
}

/// Content of `run.json`.
#[derive(Serialize, Deserialize)]
struct Plan {
    config: Vec<(String, String)>,
    baseline: Option<String>,
}

/// A new or resumed run.
pub struct Run {
    pub config: TrainConfig,
    /// Objective to compare with.
    pub baseline: Option<Objective>,
    /// Output directory.
    pub out: PathBuf,
}

/// Returns the run that the command line describes.
pub fn read(matches: &ArgMatches) -> anyhow::Result<Run> {
    match matches.get_one::<String>("resume") {
        Some(auto) if auto == "auto" => resume_or_new(matches),
        Some(file) if Path::new(file).is_file() => run_from_checkpoint(matches, Path::new(file)),
        Some(folder) => {
            reject_settings(matches, &[])?;
            resume(Path::new(folder))
        }
        None => new_run(matches),
    }
}

/// Returns the devices. The first one holds the run.
pub fn devices(matches: &ArgMatches) -> anyhow::Result<Vec<DeviceChoice>> {
    let parse = |option, name: &str| -> anyhow::Result<DeviceChoice> {
        let numbered = name.parse().ok().map(|n| DeviceChoice::Gpu(Some(n)));
        numbered.map_or_else(|| name.parse().map_err(|e| anyhow::anyhow!("--{option}: {e}")), Ok)
    };
    match matches.get_many::<String>("devices") {
        Some(names) => names.map(|name| parse("devices", name)).collect(),
        None => Ok(vec![parse("device", matches.get_one::<String>("device").expect("the option has a default"))?]),
    }
}

/// Creates a new run.
fn new_run(matches: &ArgMatches) -> anyhow::Result<Run> {
    let (dataset, recipe) = (matches.get_one::<String>("dataset"), matches.get_one::<String>("recipe"));
    let built_in = recipe.is_none() && dataset.is_none_or(|d| *d == Dataset::Synthetic.to_string());
    let mut config = match recipe {
        Some(name) => recipe::read(name)?,
        None if built_in => TrainConfig::demo(),
        None => TrainConfig::default(),
    };
    apply(&mut config, matches)?;
    let baseline = match matches.get_one::<String>("baseline").map(String::as_str) {
        None if built_in && config.objective != Objective::Ce => Some(Objective::Ce),
        None | Some("none") => None,
        Some(name) => Some(name.parse().map_err(|e| anyhow::anyhow!("--baseline: {e}"))?),
    };
    if baseline == Some(config.objective) {
        bail!("--baseline {} is the objective itself: choose another, or none", config.objective);
    }
    let weights = matches.get_one::<String>("weights").map(|path| CheckpointFile::read(Path::new(path))).transpose()?;
    if let Some(saved) = &weights {
        let arrays = saved.checkpoint.model_arrays();
        (config.model, _) = Architecture::infer(&arrays).context("--weights")?;
        config.normalize = Model::has_normalization(&arrays);
    }
    if matches.get_flag("plan") {
        return Ok(Run { config, baseline, out: PathBuf::new() });
    }
    let initial_file = weights.map(|saved| (PathBuf::from(run_dir::WEIGHTS), saved.bytes));
    create_run_dir(matches, config, baseline, initial_file)
}

/// Creates the directory of a run. `initial_file` is the path inside it and the content of the file that the run starts
/// from.
fn create_run_dir(
    matches: &ArgMatches,
    config: TrainConfig,
    baseline: Option<Objective>,
    initial_file: Option<(PathBuf, Vec<u8>)>,
) -> anyhow::Result<Run> {
    let out = match matches.get_one::<String>("out") {
        Some(out) => {
            let out = PathBuf::from(out);
            if RunDirectory::has_started(&out)? {
                bail!("{0} contains a run: resume it with --resume {0}, or choose another --out", out.display());
            }
            out
        }
        None => unused_run_dir(&format!("{}-{}-{}", config.dataset, config.model, config.objective)),
    };
    files::create_dir(&out)?;
    let stale = out.join(run_dir::WEIGHTS);
    match (stale.exists(), out.join("run.json").exists()) {
        // It belongs to an earlier run in this directory that never started training.
        (true, true) => fs::remove_file(&stale).with_context(|| format!("could not remove {}", stale.display()))?,
        (true, false) => bail!("{} exists and does not belong to a run: choose another --out", stale.display()),
        (false, _) => {}
    }
    if let Some((name, bytes)) = initial_file {
        let path = out.join(name);
        path.parent().map(files::create_dir).transpose()?;
        files::write(&path, &bytes)?;
    }
    // Written last, because it marks the directory as a run.
    let plan = Plan { config: config.to_pairs(), baseline: baseline.map(|objective| objective.to_string()) };
    files::write(&out.join("run.json"), serde_json::to_string_pretty(&plan)?.as_bytes())?;
    Ok(Run { config, baseline, out })
}

/// Applies the settings that were given on the command line.
fn apply(config: &mut TrainConfig, matches: &ArgMatches) -> anyhow::Result<()> {
    for setting in TrainConfig::settings() {
        if matches.value_source(setting.key) == Some(ValueSource::CommandLine) {
            let value: &String = matches.get_one(setting.key).expect("the option was given");
            config.set(setting.key, value).map_err(|e| anyhow::anyhow!("--{e}"))?;
        }
    }
    Ok(())
}

/// Creates a run in a new directory from a checkpoint, such as one that was saved in the page.
fn run_from_checkpoint(matches: &ArgMatches, file: &Path) -> anyhow::Result<Run> {
    // Checkpoints of the page contain no directories.
    reject_settings(matches, &["data-dir", "out"])?;
    let CheckpointFile { bytes, checkpoint } = CheckpointFile::read(file)?;
    let config = train::check_run(&checkpoint).and_then(|()| train::config_of(&checkpoint));
    let mut config = config.with_context(|| file.display().to_string())?;
    apply(&mut config, matches)?;
    let path = RunDirectory::checkpoint_path(Path::new(&config.objective.to_string()));
    create_run_dir(matches, config, None, Some((path, bytes)))
}

/// Resumes the run in `--out` or starts it there, so that a scheduler can repeat the same command.
fn resume_or_new(matches: &ArgMatches) -> anyhow::Result<Run> {
    let out = matches.get_one::<String>("out").context("--resume auto needs --out, the directory of the run")?;
    if !RunDirectory::has_started(Path::new(out))? {
        return new_run(matches);
    }
    let run = resume(Path::new(out))?;
    let mut requested = match matches.get_one::<String>("recipe") {
        Some(name) => recipe::read(name)?,
        None => run.config.clone(),
    };
    apply(&mut requested, matches)?;
    if let Some(path) = matches.get_one::<String>("weights") {
        let [given, stored] =
            [path.into(), Path::new(out).join(run_dir::WEIGHTS)].map(|path: PathBuf| fs::read(path).ok());
        if given.is_none() || given != stored {
            bail!(
                "the run in {out} did not start from {path}: leave out --weights, or start a new run in another --out"
            );
        }
        // The weights determine these.
        (requested.model, requested.normalize) = (run.config.model, run.config.normalize);
    }
    let baseline = run.baseline.map_or("none".to_owned(), |objective| objective.to_string());
    if let Some(given) = matches.get_one::<String>("baseline").filter(|given| **given != baseline) {
        bail!(
            "the run in {out} has baseline {baseline}, not {given}: leave out --baseline, or start a new run in another --out"
        );
    }
    if let Some(((key, is), (_, requested))) =
        run.config.pairs().into_iter().zip(requested.pairs()).find(|(a, b)| a != b)
    {
        bail!(
            "the run in {out} has {key} {is}, not {requested}: leave out --{key}, or start a new run in another --out"
        );
    }
    Ok(run)
}

/// Returns the run in a directory.
fn resume(folder: &Path) -> anyhow::Result<Run> {
    let path = folder.join("run.json");
    let text = files::read_text(&path).with_context(|| format!("{} is not a run", folder.display()))?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let config = TrainConfig::from_pairs(&plan.config).with_context(|| path.display().to_string())?;
    let baseline =
        plan.baseline.map(|name| name.parse().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))).transpose()?;
    Ok(Run { config, baseline, out: folder.to_owned() })
}

/// Rejects settings on the command line of a resumed run, except `allowed`.
fn reject_settings(matches: &ArgMatches, allowed: &[&str]) -> anyhow::Result<()> {
    let mut given =
        TrainConfig::settings().into_iter().map(|setting| setting.key).chain(["baseline", "out", "recipe", "weights"]);
    let other = |key: &&str| {
        !allowed.contains(key) && matches.value_source(key).is_some_and(|s| s != ValueSource::DefaultValue)
    };
    match given.find(other) {
        Some(key) => bail!("--resume continues the run with its own settings: leave out --{key}, or start a new run"),
        None => Ok(()),
    }
}
