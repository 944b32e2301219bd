//! Options of the programs that evaluate models (models, images, device), in the form that is stored in `run.json`.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::{Arg, ArgMatches, Command, parser::ValueSource};
use otjr::{
    data::{Dataset, ImageSet},
    platform::{self, DeviceChoice, Opened},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::model_file::{LoadedModel, stem};
use crate::{
    arguments,
    console::Console,
    dataset::{self, DownloadOptions},
    files,
    interrupt::Interrupt,
    unused_run_dir,
};

/// The part of `run.json` that `attack` and `evaluate` share.
#[derive(Clone, Serialize, Deserialize)]
pub struct RunSpec {
    /// Paths of the models.
    pub models: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// Path of the data set; empty for the built-in data set and for CIFAR in the cache.
    pub data_dir: String,
    #[serde(default)]
    data_url: Option<String>,
    /// Maximum number of images (0: all).
    pub limit: usize,
    /// Batch size.
    pub batch: usize,
    device: String,
    threads: Option<usize>,
    /// Seconds between saves.
    pub save_every: u64,
    /// Checksums of the models' files, of the evaluation model's file (if any), and of the images. Empty until the run
    /// starts.
    checksums: Vec<u32>,
}

/// Adds the options of a [`RunSpec`], `--out` and `--resume`.
pub fn options(command: Command) -> Command {
    let dataset = "synthetic (built in), cifar10, cifar100 or folder; the test images are used";
    let threads = option("threads", "N", "CPU threads [default: all cores]");
    command
        .arg(option("dataset", "NAME", dataset).default_value("synthetic"))
        .arg(
            option(
                "data-dir",
                "PATH",
                "Path of the data set: a directory, CIFAR's .tar.gz (downloaded by default), or a zip of class folders",
            )
            .default_value(""),
        )
        .arg(arguments::data_url())
        .arg(number(
            "limit",
            "1000",
            0..=10_000_000,
            "Maximum number of images, spread evenly over the data set (0: all)",
        ))
        .arg(number("batch", "256", 1..=65_536, "Batch size"))
        .arg(option("device", "DEVICE", DeviceChoice::NAMES).default_value("auto"))
        .arg(threads.value_parser(clap::value_parser!(usize)))
        .arg(number("save-every", "30", 0..=86_400, "Seconds between saves of the state"))
        .arg(option("out", "DIR", "Output directory [default: runs/PROGRAM-MODEL, with a number if it exists]"))
        .arg(option("resume", "DIR", "Resume the run in DIR"))
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn number(name: &'static str, default: &'static str, range: RangeInclusive<u64>, help: &'static str) -> Arg {
    option(name, "N", help).default_value(default).value_parser(clap::value_parser!(u64).range(range))
}

/// Returns the run that `--resume` names and its directory, or `None` without `--resume`.
///
/// # Errors
/// If other options are given too, or `run.json` cannot be read.
pub fn resumed<Plan: DeserializeOwned>(matches: &ArgMatches) -> anyhow::Result<Option<(Plan, PathBuf)>> {
    let Some(folder) = matches.get_one::<String>("resume") else { return Ok(None) };
    let given =
        |id: &&clap::Id| id.as_str() != "resume" && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    if let Some(id) = matches.ids().find(given) {
        bail!("--resume continues the run with its own settings: leave out --{id}, or start a new run");
    }
    let path = Path::new(folder).join("run.json");
    let text = files::read_text(&path).with_context(|| format!("{folder} is not a run"))?;
    let plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Some((plan, folder.into())))
}

/// Creates the directory of a new run and writes its `run.json`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_run_spec(out: &Path, plan: &impl Serialize) -> anyhow::Result<()> {
    files::create_dir(out)?;
    files::write(&out.join("run.json"), serde_json::to_string_pretty(plan)?.as_bytes())
}

impl RunSpec {
    /// Reads the values of [`options`]. `models` is the name of the option that contains the models.
    ///
    /// # Errors
    /// If the data set or the device is unknown.
    ///
    /// # Panics
    /// If the command does not have all [`options`].
    pub fn read(matches: &ArgMatches, models: &str) -> anyhow::Result<Self> {
        let text = |name: &str| matches.get_one::<String>(name).cloned().expect("the option has a default");
        let number = |name: &str| *matches.get_one::<u64>(name).expect("the option has a default");
        let spec = Self {
            models: matches.get_many::<String>(models).expect("the option is required").cloned().collect(),
            dataset: text("dataset"),
            data_dir: text("data-dir"),
            data_url: matches.get_one::<String>("data-url").cloned(),
            limit: number("limit") as usize,
            batch: number("batch") as usize,
            device: text("device"),
            threads: matches.get_one::<usize>("threads").copied(),
            save_every: number("save-every"),
            checksums: Vec::new(),
        };
        spec.dataset()?;
        spec.device()?;
        Ok(spec)
    }

    /// Returns the directory of a new run: `out`, or an unused name.
    ///
    /// # Errors
    /// If `out` contains a run already.
    pub fn new_run_dir(&self, program: &str, out: Option<&String>) -> anyhow::Result<PathBuf> {
        match out.map(PathBuf::from) {
            Some(out) if out.join("run.json").exists() => {
                bail!("{0} contains a run: resume it with --resume {0}, or choose another --out", out.display())
            }
            Some(out) => Ok(out),
            None => Ok(unused_run_dir(&format!("{program}-{}", stem(&self.models[0])))),
        }
    }

    /// Returns the names of the models in reports, all different: a short name, or the path if two short names are
    /// equal.
    pub fn names(&self) -> Vec<String> {
        let name = |(number, path): (usize, &String)| {
            let shared = self.models.iter().any(|other| other != path && stem(other) == stem(path));
            let name = if shared { path.clone() } else { stem(path) };
            match self.models[..number].iter().filter(|other| *other == path).count() {
                0 => name,
                before => format!("{name} ({})", before + 1),
            }
        };
        self.models.iter().enumerate().map(name).collect()
    }

    /// Loads the images and opens the device. Returns `None` if the download of the images was interrupted.
    ///
    /// # Errors
    /// If the images cannot be loaded or the device cannot be opened.
    pub fn open(&self, interrupt: &Interrupt) -> anyhow::Result<Option<(ImageSet, Opened)>> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        let download = DownloadOptions { url: self.data_url.as_deref(), console: Console::default(), interrupt };
        let Some(data) = dataset::load(self.dataset()?, &self.data_dir, [1, self.limit], &download)? else {
            println!("Stopped. To continue, run the same command.");
            return Ok(None);
        };
        Ok(Some((data.test, pollster::block_on(platform::open(self.device()?))?)))
    }

    /// Stores the checksums of a new run's files and images and returns true. For a resumed run, compares them and
    /// returns false. `models` are the models and then the evaluation model, if there is one.
    ///
    /// # Errors
    /// If a file or the images have changed since the run started.
    pub fn record_checksums<'a>(
        &mut self,
        eval_model: Option<&String>,
        models: impl Iterator<Item = &'a LoadedModel>,
        images: &ImageSet,
    ) -> anyhow::Result<bool> {
        let checksums: Vec<u32> = models.map(|loaded| loaded.checksum).chain([images.checksum()]).collect();
        let names = self.models.iter().chain(eval_model).map(String::as_str).chain(["the data set"]);
        if self.checksums.is_empty() {
            self.checksums = checksums;
            return Ok(true);
        }
        match names.zip(self.checksums.iter().zip(&checksums)).find(|(_, (a, b))| a != b) {
            Some((name, _)) => {
                bail!("{name} has changed since the run started, so its results are no longer valid: start a new run")
            }
            None => Ok(false),
        }
    }

    fn dataset(&self) -> anyhow::Result<Dataset> {
        self.dataset.parse().map_err(|e| anyhow!("--dataset {}: {e}", self.dataset))
    }

    fn device(&self) -> anyhow::Result<DeviceChoice> {
        self.device.parse().map_err(|e| anyhow!("--device: {e}"))
    }
}
