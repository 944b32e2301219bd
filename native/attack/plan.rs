//! What the command line asks for, in a form that can be kept in the output directory and gone on with.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::{Arg, ArgMatches, Command, parser::ValueSource};
use otjr::{
    config::{AttackConfig, AttackKind, Dataset, Norm, Pixels, Setting, Settings},
    evaluate::Target,
    platform::DeviceChoice,
};
use serde::{Deserialize, Serialize};

use crate::shell::{arguments, files, unused};

/// A run; kept in its directory's `run.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    pub models: Vec<String>,
    pub judge: Option<String>,
    /// Names of [`AttackKind`].
    pub attacks: Vec<String>,
    pub norm: String,
    epsilons: Vec<String>,
    target: Option<String>,
    /// The settings that were given, by name.
    settings: Vec<(String, String)>,
    pub dataset: String,
    pub data_dir: String,
    #[serde(default)]
    pub data_url: Option<String>,
    pub limit: usize,
    pub batch: usize,
    device: String,
    pub threads: Option<usize>,
    pub save_every: u64,
    pub json: Option<PathBuf>,
    pub save: Option<PathBuf>,
    /// Of the models' files, and the judge's, once the run has begun.
    checksums: Vec<u32>,
}

const HEADING: &str = "Settings of single attacks (autoattack has its own)";

pub fn command() -> Command {
    let kinds: Vec<String> =
        AttackKind::ALL.iter().map(|kind| format!("  {:16} {}", kind.name(), kind.about())).collect();
    let command = Command::new("attack")
        .args_override_self(true)
        .about("Attacks models and counts the pictures on which they are still right")
        .after_help(format!(
            "Attacks, of which --attack takes several (apgd-ce,square), each run on what the ones before have left:\n{}\n\n\
             A model of your own under AutoAttack:\n  attack --model model.safetensors --dataset cifar10\n\
             Interrupted runs go on with:\n  attack --resume DIR",
            kinds.join("\n")
        ))
        .arg(Arg::new("model").long("model").value_name("FILE").num_args(1..).required_unless_present("resume")
            .help("Checkpoints to attack; several are put side by side"))
        .arg(Arg::new("attack").long("attack").value_name("NAMES").default_value("autoattack")
            .help("The attacks, with commas between; see below"))
        .arg(Arg::new("norm").long("norm").value_name("NORM").help("linf, l2 or l1 [default: linf; cw: l2]"))
        .arg(Arg::new("epsilon").long("epsilon").value_name("RADII").allow_hyphen_values(true).help(
            "Largest perturbation allowed, for pixels in [0,1]; several with commas between \
             [default: 8/255 in linf, 128/255 in l2, 12 in l1]",
        ))
        .arg(Arg::new("target").long("target").value_name("CLASS").help(
            "Bring the model to this class: its number, random, or least-likely [default: any wrong class]",
        ))
        .arg(Arg::new("judge").long("judge").value_name("FILE").help(
            "Let this model decide whether a picture falls: how well the attack transfers (fgsm, bim, pgd and mi-fgsm \
             then go on to their end, the others stop at their first success) [default: the model attacked]",
        ))
        .arg(Arg::new("dataset").long("dataset").value_name("NAME").default_value("synthetic")
            .help("synthetic (needs no files), cifar10, cifar100, or folder; the test half is attacked"))
        .arg(Arg::new("data-dir").long("data-dir").value_name("PATH").default_value("")
            .help("Where the data is: a directory, CIFAR's .tar.gz itself (fetched if it is not given), or a zip of class folders"))
        .arg(arguments::data_url())
        .arg(number("limit", "1000", 0..=10_000_000, "Attack at most this many pictures, spread evenly over the set (0: all)"))
        .arg(number("batch", "256", 1..=65_536, "Pictures attacked at once"))
        .arg(Arg::new("device").long("device").value_name("DEVICE").default_value("auto")
            .help("auto (a real GPU if there is one, else the CPU), cpu, gpu or gpu:N"))
        .arg(Arg::new("threads").long("threads").value_name("N").value_parser(clap::value_parser!(usize))
            .help("Threads of the CPU [default: all cores]"))
        .arg(Arg::new("out").long("out").value_name("DIR").help("Where to write [default: runs/attack-MODEL, numbered if taken]"))
        .arg(Arg::new("json").long("json").value_name("FILE").help("Also write the results here"))
        .arg(Arg::new("save").long("save").value_name("FILE").help(
            "Also write here: the pictures, clean and adversarial, labels, predictions, and which attack felled each \
             (one model, one radius)",
        ))
        .arg(number("save-every", "30", 0..=86_400, "Seconds between saves to go on from"))
        .arg(Arg::new("resume").long("resume").value_name("DIR").help("Go on with the run in DIR"));
    let usual = |setting: &Setting| match setting.key {
        "step" => "a quarter of the usual radius; simba 0.2".into(),
        "steps" => "20; bim, mi-fgsm 10; deepfool 50; apgd-*, fab* 100; cw 200".into(),
        key => AttackConfig::default().get(key).unwrap_or_default(),
    };
    arguments::options(command, own_settings(), HEADING, usual)
}

fn number(name: &'static str, default: &'static str, range: RangeInclusive<u64>, help: &'static str) -> Arg {
    let parser = clap::value_parser!(u64).range(range);
    Arg::new(name).long(name).value_name("N").default_value(default).value_parser(parser).help(help)
}

/// Those of an attack's settings that are not options already.
fn own_settings() -> impl Iterator<Item = Setting> {
    let given = ["attack", "norm", "epsilon", "early-stop"];
    AttackConfig::settings().into_iter().filter(move |s| !given.contains(&s.key))
}

/// The run asked for and its directory: a new one, or one to go on with.
pub fn read(matches: &ArgMatches) -> anyhow::Result<(Plan, PathBuf)> {
    if let Some(folder) = matches.get_one::<String>("resume") {
        let given = |id: &&clap::Id| {
            id.as_str() != "resume" && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
        };
        if let Some(id) = matches.ids().find(given) {
            bail!("--resume goes on with the run as it was: leave out --{id}, or start another run");
        }
        let path = Path::new(folder).join("run.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{folder} is not a run: could not read {}", path.display()))?;
        let plan = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        return Ok((plan, folder.into()));
    }
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let number = |name: &str| *matches.get_one::<u64>(name).expect("it has a default");
    let list = |text: String| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
    let attacks = list(text("attack").expect("it has a default"));
    let kinds = attacks.iter().map(|name| kind(name)).collect::<Result<Vec<_>, _>>()?;
    let only_l2 = kinds.contains(&AttackKind::Cw);
    let norm = text("norm").unwrap_or_else(|| if only_l2 { Norm::L2 } else { Norm::Linf }.to_string());
    let norm_value: Norm = norm.parse().map_err(|e| anyhow!("--norm: {e}"))?;
    let usual = AttackConfig::of(kinds[0], norm_value).get("epsilon").unwrap_or_default();
    let settings = own_settings()
        .filter(|s| matches.value_source(s.key) == Some(ValueSource::CommandLine))
        .filter_map(|s| Some((s.key.to_owned(), text(s.key)?)))
        .collect();
    let plan = Plan {
        models: matches.get_many::<String>("model").expect("it is required").cloned().collect(),
        judge: text("judge"),
        attacks,
        norm,
        epsilons: list(text("epsilon").unwrap_or(usual)),
        target: text("target"),
        settings,
        dataset: text("dataset").expect("it has a default"),
        data_dir: text("data-dir").unwrap_or_default(),
        data_url: text("data-url"),
        limit: number("limit") as usize,
        batch: number("batch") as usize,
        device: text("device").expect("it has a default"),
        threads: matches.get_one::<usize>("threads").copied(),
        save_every: number("save-every"),
        json: text("json").map(Into::into),
        save: text("save").map(Into::into),
        checksums: Vec::new(),
    };
    plan.check(&kinds)?;
    let out = match text("out").map(PathBuf::from) {
        Some(out) if out.join("run.json").exists() => {
            bail!("{0} holds a run: go on with it by --resume {0}, or choose another --out", out.display())
        }
        Some(out) => out,
        None => unused(&format!("attack-{}", stem(&plan.models[0]))),
    };
    Ok((plan, out))
}

fn kind(name: &str) -> anyhow::Result<AttackKind> {
    name.parse().map_err(|e| anyhow!("--attack {name}: {e}"))
}

/// `otjr` of `models/otjr.safetensors`; of `run/otjr/model.safetensors` too.
pub fn stem(path: &str) -> String {
    let path = Path::new(path);
    let name = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    match name(path) {
        Some(own) if own == "model" => path.parent().and_then(name).unwrap_or(own),
        own => own.unwrap_or_default(),
    }
}

impl Plan {
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

    /// Writes a new run down; of an old one sees that its models are still the same.
    pub fn keep(&self, out: &Path, checksums: Vec<u32>) -> anyhow::Result<()> {
        if !self.checksums.is_empty() {
            let names = self.models.iter().chain(&self.judge);
            if let Some((name, _)) = names.zip(self.checksums.iter().zip(&checksums)).find(|(_, (a, b))| a != b) {
                bail!(
                    "{name} has changed since the run began: what it withstood then says nothing now; start another run"
                );
            }
            return Ok(());
        }
        fs::create_dir_all(out).with_context(|| format!("could not create the directory {}", out.display()))?;
        let plan = Self { checksums, ..self.clone() };
        files::write(&out.join("run.json"), serde_json::to_string_pretty(&plan)?.as_bytes())
    }

    /// Refuses what could not be carried out, before anything is.
    fn check(&self, kinds: &[AttackKind]) -> anyhow::Result<()> {
        self.dataset()?;
        self.device()?;
        self.target()?;
        self.epsilons()?.into_iter().try_for_each(|epsilon| self.config(epsilon).map(drop))?;
        for (key, _) in &self.settings {
            if !kinds.iter().any(|kind| kind.uses(key)) {
                bail!("--{key} is not used by --attack {}: leave it out", self.attacks.join(","));
            }
        }
        if self.save.is_some() && self.models.len() * self.epsilons.len() > 1 {
            bail!("--save takes one model and one radius; with several, the output directory holds a file for each");
        }
        Ok(())
    }

    /// The attacks within a radius.
    pub fn config(&self, epsilon: Pixels) -> anyhow::Result<Vec<AttackConfig>> {
        let norm = self.norm.parse().map_err(|e| anyhow!("--norm: {e}"))?;
        let config = |name: &String| {
            let attack = kind(name)?;
            if attack == AttackKind::Cw && norm != Norm::L2 {
                bail!("--attack cw measures perturbations in l2: leave out --norm {norm}");
            }
            // For another judge an attack that can goes on beyond the first success.
            let early_stop = self.judge.is_none();
            let mut config = AttackConfig { epsilon, early_stop, ..AttackConfig::of(attack, norm) };
            for (key, value) in &self.settings {
                config.set(key, value).map_err(|e| anyhow!("--{e}"))?;
            }
            Ok(config)
        };
        self.attacks.iter().map(config).collect()
    }

    pub fn epsilons(&self) -> anyhow::Result<Vec<Pixels>> {
        let parse = |text: &String| {
            let mut config = AttackConfig::default();
            config.set("epsilon", text).map_err(|e| anyhow!("--{e}"))?;
            Ok(config.epsilon)
        };
        self.epsilons.iter().map(parse).collect()
    }

    pub fn dataset(&self) -> anyhow::Result<Dataset> {
        self.dataset.parse().map_err(|e| anyhow!("--dataset {}: {e}", self.dataset))
    }

    pub fn device(&self) -> anyhow::Result<DeviceChoice> {
        self.device.parse().map_err(|e| anyhow!("--device: {e}"))
    }

    pub fn target(&self) -> anyhow::Result<Option<Target>> {
        self.target.as_ref().map(|text| text.parse().map_err(|e| anyhow!("--target {text}: {e}"))).transpose()
    }

    /// The settings, as text for people.
    pub fn described(&self) -> String {
        let mut parts: Vec<String> = self.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        parts.extend(self.target.iter().map(|target| format!("target {target}")));
        parts.extend(self.judge.iter().map(|judge| format!("judged by {judge}")));
        parts.join(", ")
    }
}
