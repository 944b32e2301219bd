//! Models, images and machine: what the command line says of them, in a form that is kept with a run.

use std::{
    fs,
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

use super::model_file::stem;
use crate::{
    arguments,
    console::Console,
    dataset::{self, Fetching},
    files,
    interrupt::Interrupt,
    unused_run_dir,
};

/// Part of what is kept in a run's `run.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Setup {
    pub models: Vec<String>,
    pub dataset: String,
    pub data_dir: String,
    #[serde(default)]
    data_url: Option<String>,
    pub limit: usize,
    pub batch: usize,
    device: String,
    threads: Option<usize>,
    pub save_every: u64,
    /// Of the models' files, of the judge's, if there is one, and of the images, once the run has begun.
    checksums: Vec<u32>,
}

/// Adds the options of a [`Setup`], and of where to write and what to go on with.
pub fn options(command: Command) -> Command {
    let dataset = "synthetic (needs no files), cifar10, cifar100, or folder; the test half is used";
    let threads = option("threads", "N", "Threads of the CPU [default: all cores]");
    command
        .arg(option("dataset", "NAME", dataset).default_value("synthetic"))
        .arg(
            option("data-dir", "PATH", "Where the data is: a directory, CIFAR's .tar.gz itself (fetched if it is not given), or a zip of class folders")
                .default_value(""),
        )
        .arg(arguments::data_url())
        .arg(number(
            "limit",
            "1000",
            0..=10_000_000,
            "Use at most so many images, spread evenly over the set (0: all)",
        ))
        .arg(number("batch", "256", 1..=65_536, "Images on the device at once"))
        .arg(option("device", "DEVICE", DeviceChoice::NAMES).default_value("auto"))
        .arg(threads.value_parser(clap::value_parser!(usize)))
        .arg(number("save-every", "30", 0..=86_400, "Seconds between saves to go on from"))
        .arg(option("out", "DIR", "Where to write [default: runs/PROGRAM-MODEL, numbered if taken]"))
        .arg(option("resume", "DIR", "Go on with the run in DIR"))
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn number(name: &'static str, default: &'static str, range: RangeInclusive<u64>, help: &'static str) -> Arg {
    option(name, "N", help).default_value(default).value_parser(clap::value_parser!(u64).range(range))
}

/// The run to go on with, if that is what the command line asks for, and its directory.
pub fn resumed<Plan: DeserializeOwned>(matches: &ArgMatches) -> anyhow::Result<Option<(Plan, PathBuf)>> {
    let Some(folder) = matches.get_one::<String>("resume") else { return Ok(None) };
    let given =
        |id: &&clap::Id| id.as_str() != "resume" && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    if let Some(id) = matches.ids().find(given) {
        bail!("--resume goes on with the run as it was: leave out --{id}, or start another run");
    }
    let path = Path::new(folder).join("run.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{folder} is not a run: could not read {}", path.display()))?;
    let plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Some((plan, folder.into())))
}

/// Writes a new run down in its directory.
pub fn keep(out: &Path, plan: &impl Serialize) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("could not create the directory {}", out.display()))?;
    files::write(&out.join("run.json"), serde_json::to_string_pretty(plan)?.as_bytes())
}

impl Setup {
    /// What [`options`] were given; the models are the values of the option `models`.
    pub fn read(matches: &ArgMatches, models: &str) -> anyhow::Result<Self> {
        let text = |name: &str| matches.get_one::<String>(name).cloned().expect("it has a default");
        let number = |name: &str| *matches.get_one::<u64>(name).expect("it has a default");
        let setup = Self {
            models: matches.get_many::<String>(models).expect("it is required").cloned().collect(),
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
        setup.dataset()?;
        setup.device()?;
        Ok(setup)
    }

    /// The directory of a new run of a program.
    pub fn directory(&self, program: &str, out: Option<&String>) -> anyhow::Result<PathBuf> {
        match out.map(PathBuf::from) {
            Some(out) if out.join("run.json").exists() => {
                bail!("{0} holds a run: go on with it by --resume {0}, or choose another --out", out.display())
            }
            Some(out) => Ok(out),
            None => Ok(unused_run_dir(&format!("{program}-{}", stem(&self.models[0])))),
        }
    }

    /// What reports call the models: a short name, or the path where others have the same, no two alike.
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

    /// The images and the device; none if fetching the images was interrupted.
    pub fn open(&self, interrupt: &Interrupt) -> anyhow::Result<Option<(ImageSet, Opened)>> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        let fetching = Fetching { url: self.data_url.as_deref(), console: Console::default(), interrupt };
        let Some(data) = dataset::load(self.dataset()?, &self.data_dir, [1, self.limit], &fetching)? else {
            println!("Stopped. To go on, give the same command.");
            return Ok(None);
        };
        Ok(Some((data.test, pollster::block_on(platform::open(self.device()?))?)))
    }

    /// Notes the checksums of a new run's models and of what else judges them, and of the images, and says that it is
    /// new; of an old run sees that they are still the same.
    pub fn sign(
        &mut self,
        judge: Option<&String>,
        models: impl Iterator<Item = u32>,
        images: &ImageSet,
    ) -> anyhow::Result<bool> {
        let checksums: Vec<u32> = models.chain([images.checksum()]).collect();
        let names = self.models.iter().chain(judge).map(String::as_str).chain(["the set of images"]);
        if self.checksums.is_empty() {
            self.checksums = checksums;
            return Ok(true);
        }
        match names.zip(self.checksums.iter().zip(&checksums)).find(|(_, (a, b))| a != b) {
            Some((name, _)) => bail!(
                "{name} has changed since the run began: what it withstood then says nothing now; start another run"
            ),
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
