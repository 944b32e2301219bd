//! What the command line asks for: a new run, or one to go on with.

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
    run_dir::{self, RunDirectory, Saved},
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
        .about("Trains a classifier that withstands adversarial images, and measures whether it does")
        .after_help(format!(
            "With no argument: a small OTJR model on the embedded set beside the same net trained with ce, in minutes.\n\
             The paper's run: train --recipe otjr-cifar10 --device gpu\n\
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
             [default: ce; with --recipe or another --dataset none]",
        ))
        .arg(Arg::new("device").long("device").value_name("DEVICE").default_value("auto")
            .help(DeviceChoice::NAMES))
        .arg(Arg::new("devices").long("devices").value_name("LIST").value_delimiter(',').conflicts_with("device").help(
            "Several devices, 0,1 for the first two GPUs, ws://HOST:PORT for one that `lend` lends there (built with \
             --features remote; cuda:N and rocm:N likewise): each takes its part of every batch and normalizes it by itself",
        ))
        .arg(Arg::new("threads").long("threads").value_name("N").value_parser(clap::value_parser!(u16).range(1..))
            .help("Threads of the CPU [default: all cores]"))
        .arg(Arg::new("out").long("out").value_name("DIR").help("Where to write [default: runs/NAME, numbered if taken]"))
        .arg(Arg::new("resume").long("resume").value_name("DIR|FILE|auto").help(
            "Go on with the run in DIR, exactly as it was, or with the run whose checkpoint is FILE, in a directory of its own; \
             auto: with the run in --out, or begin it there",
        ))
        .arg(Arg::new("weights").long("weights").value_name("FILE").conflicts_with_all(["model", "normalize"]).help(
            "Begin with the weights of a model in place of fresh ones; for classes that it does not know its last layer \
             begins anew",
        ))
        .arg(Arg::new("plan").long("plan").action(ArgAction::SetTrue).conflicts_with("resume")
            .help("Say what the run would take in time and memory, from a few steps of it, and do not train"))
        .arg(Arg::new("save-every").long("save-every").value_name("SECONDS").default_value("30")
            .value_parser(clap::value_parser!(u64)).help("Time between checkpoints"))
        .arg(arguments::data_url())
        .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue)
            .help("Say nothing but what went wrong, and in the last line what was written"));
    arguments::options(command, TrainConfig::settings(), "Settings", default)
}

/// What a run directory is about; kept in its `run.json`.
#[derive(Serialize, Deserialize)]
struct Plan {
    config: Vec<(String, String)>,
    baseline: Option<String>,
}

/// A run, as it was asked for.
pub struct Run {
    pub config: TrainConfig,
    /// The objective to compare with.
    pub baseline: Option<Objective>,
    /// Its directory.
    pub out: PathBuf,
}

/// The run that is asked for.
pub fn read(matches: &ArgMatches) -> anyhow::Result<Run> {
    match matches.get_one::<String>("resume") {
        Some(auto) if auto == "auto" => found(matches),
        Some(file) if Path::new(file).is_file() => moved(matches, Path::new(file)),
        Some(folder) => {
            refuse_settings(matches, &[])?;
            resumed(Path::new(folder))
        }
        None => planned(matches),
    }
}

/// The devices to train on, the first of which holds the run.
pub fn devices(matches: &ArgMatches) -> anyhow::Result<Vec<DeviceChoice>> {
    let parse = |option, name: &str| -> anyhow::Result<DeviceChoice> {
        let numbered = name.parse().ok().map(|n| DeviceChoice::Gpu(Some(n)));
        numbered.map_or_else(|| name.parse().map_err(|e| anyhow::anyhow!("--{option}: {e}")), Ok)
    };
    match matches.get_many::<String>("devices") {
        Some(names) => names.map(|name| parse("devices", name)).collect(),
        None => Ok(vec![parse("device", matches.get_one::<String>("device").expect("it has a default"))?]),
    }
}

/// A new run.
fn planned(matches: &ArgMatches) -> anyhow::Result<Run> {
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
    let weights = matches.get_one::<String>("weights").map(|path| Saved::read(Path::new(path))).transpose()?;
    if let Some(saved) = &weights {
        let arrays = saved.checkpoint.model_arrays();
        (config.model, _) = Architecture::infer(&arrays).context("--weights")?;
        config.normalize = Model::has_normalization(&arrays);
    }
    if matches.get_flag("plan") {
        return Ok(Run { config, baseline, out: PathBuf::new() });
    }
    let beginning = weights.map(|saved| (PathBuf::from(run_dir::WEIGHTS), saved.bytes));
    planned_at(matches, config, baseline, beginning)
}

/// Makes the directory of a run, with the file that it begins with, if there is one: its path there and its bytes.
fn planned_at(
    matches: &ArgMatches,
    config: TrainConfig,
    baseline: Option<Objective>,
    beginning: Option<(PathBuf, Vec<u8>)>,
) -> anyhow::Result<Run> {
    let out = match matches.get_one::<String>("out") {
        Some(out) => {
            let out = PathBuf::from(out);
            if RunDirectory::begun(&out)? {
                bail!("{0} holds a run: go on with it by --resume {0}, or choose another --out", out.display());
            }
            out
        }
        None => unused_run_dir(&format!("{}-{}-{}", config.dataset, config.model, config.objective)),
    };
    let make = |folder: &Path| {
        fs::create_dir_all(folder).with_context(|| format!("could not create the directory {}", folder.display()))
    };
    make(&out)?;
    let stale = out.join(run_dir::WEIGHTS);
    match (stale.exists(), out.join("run.json").exists()) {
        // Of a start that never came to training: not this run's.
        (true, true) => fs::remove_file(&stale).with_context(|| format!("could not remove {}", stale.display()))?,
        (true, false) => bail!("{} is there and of no run: choose another --out", stale.display()),
        (false, _) => {}
    }
    if let Some((name, bytes)) = beginning {
        let path = out.join(name);
        path.parent().map(make).transpose()?;
        files::write(&path, &bytes)?;
    }
    // Last of all: with it the directory holds a run.
    let plan = Plan { config: config.to_pairs(), baseline: baseline.map(|objective| objective.to_string()) };
    files::write(&out.join("run.json"), serde_json::to_string_pretty(&plan)?.as_bytes())?;
    Ok(Run { config, baseline, out })
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
fn moved(matches: &ArgMatches, file: &Path) -> anyhow::Result<Run> {
    // The page knows of no directories.
    refuse_settings(matches, &["data-dir", "out"])?;
    let Saved { bytes, checkpoint } = Saved::read(file)?;
    let config = train::check_run(&checkpoint).and_then(|()| train::config_of(&checkpoint));
    let mut config = config.with_context(|| file.display().to_string())?;
    apply(&mut config, matches)?;
    let path = RunDirectory::checkpoint_path(Path::new(&config.objective.to_string()));
    planned_at(matches, config, None, Some((path, bytes)))
}

/// The run in the directory that was named for it, or a new one there: the same command begins and goes on, as a
/// scheduler gives it.
fn found(matches: &ArgMatches) -> anyhow::Result<Run> {
    let out = matches.get_one::<String>("out").context("--resume auto needs --out: where the run is, or will be")?;
    if !RunDirectory::begun(Path::new(out))? {
        return planned(matches);
    }
    let run = resumed(Path::new(out))?;
    let mut asked = match matches.get_one::<String>("recipe") {
        Some(name) => recipe::read(name)?,
        None => run.config.clone(),
    };
    apply(&mut asked, matches)?;
    if let Some(path) = matches.get_one::<String>("weights") {
        let [given, kept] =
            [path.into(), Path::new(out).join(run_dir::WEIGHTS)].map(|path: PathBuf| fs::read(path).ok());
        if given.is_none() || given != kept {
            bail!(
                "the run in {out} did not begin with {path}: leave out --weights, or begin another run in another --out"
            );
        }
        // They are the weights'.
        (asked.model, asked.normalize) = (run.config.model, run.config.normalize);
    }
    let is = run.baseline.map_or("none".to_owned(), |objective| objective.to_string());
    if let Some(given) = matches.get_one::<String>("baseline").filter(|given| **given != is) {
        bail!(
            "the run in {out} has baseline {is}, not {given}: leave out --baseline, or begin another run in another --out"
        );
    }
    if let Some(((key, is), (_, asked))) = run.config.pairs().into_iter().zip(asked.pairs()).find(|(a, b)| a != b) {
        bail!("the run in {out} has {key} {is}, not {asked}: leave out --{key}, or begin another run in another --out");
    }
    Ok(run)
}

/// The run in a directory.
fn resumed(folder: &Path) -> anyhow::Result<Run> {
    let path = folder.join("run.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a run: could not read {}", folder.display(), path.display()))?;
    let plan: Plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let config = TrainConfig::from_pairs(&plan.config).with_context(|| path.display().to_string())?;
    let baseline =
        plan.baseline.map(|name| name.parse().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))).transpose()?;
    Ok(Run { config, baseline, out: folder.to_owned() })
}

/// Settings are part of a run: giving others, but for some, would make it another run.
fn refuse_settings(matches: &ArgMatches, but: &[&str]) -> anyhow::Result<()> {
    let mut given =
        TrainConfig::settings().into_iter().map(|setting| setting.key).chain(["baseline", "out", "recipe", "weights"]);
    let other =
        |key: &&str| !but.contains(key) && matches.value_source(key).is_some_and(|s| s != ValueSource::DefaultValue);
    match given.find(other) {
        Some(key) => bail!("--resume goes on with the run as it was: leave out --{key}, or start another run"),
        None => Ok(()),
    }
}
