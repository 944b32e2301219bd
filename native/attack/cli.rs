//! What the command line asks for, in a form that can be kept in the output directory and gone on with.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Arg, ArgMatches, Command, parser::ValueSource};
use otjr::{
    attack::{AttackConfig, AttackKind, Norm},
    evaluate::Target,
    settings::{Pixels, Setting, Settings},
};
use serde::{Deserialize, Serialize};

use otjr_cli::{
    arguments,
    evaluation::run_spec::{self, Setup},
};

/// A run; kept in its directory's `run.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    #[serde(flatten)]
    pub setup: Setup,
    pub judge: Option<String>,
    /// Names of [`AttackKind`].
    pub attacks: Vec<String>,
    pub norm: String,
    epsilons: Vec<String>,
    target: Option<String>,
    /// The settings that were given, by name.
    settings: Vec<(String, String)>,
    pub json: Option<PathBuf>,
    pub save: Option<PathBuf>,
}

const HEADING: &str = "Settings of single attacks (autoattack has its own)";

pub fn command() -> Command {
    let kinds: Vec<String> =
        AttackKind::ALL.iter().map(|kind| format!("  {:16} {}", kind.name(), kind.about())).collect();
    let command = Command::new("attack")
        .args_override_self(true)
        .about("Attacks models and counts the images on which they are still right")
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
            "Let this model decide whether an image falls: how well the attack transfers (fgsm, bim, pgd and mi-fgsm \
             then go on to their end, the others stop at their first success) [default: the model attacked]",
        ))
        .arg(Arg::new("json").long("json").value_name("FILE").help("Also write the results here"))
        .arg(Arg::new("save").long("save").value_name("FILE").help(
            "Also write here: the images, clean and adversarial, labels, predictions, and which attack felled each \
             (one model, one radius)",
        ));
    let usual = |setting: &Setting| match setting.key {
        "step" => "a quarter of epsilon; simba 0.2".into(),
        "steps" => "20; bim, mi-fgsm 10; deepfool 50; apgd-*, fab* 100; cw 200".into(),
        key => AttackConfig::default().get(key).unwrap_or_default(),
    };
    arguments::options(run_spec::options(command), own_settings(), HEADING, usual)
}

/// Those of an attack's settings that are not options already.
fn own_settings() -> impl Iterator<Item = Setting> {
    let given = ["attack", "norm", "epsilon", "early-stop"];
    AttackConfig::settings().into_iter().filter(move |s| !given.contains(&s.key))
}

/// The run asked for and its directory: a new one, or one to go on with.
pub fn read(matches: &ArgMatches) -> anyhow::Result<(Plan, PathBuf)> {
    if let Some(run) = run_spec::resumed(matches)? {
        return Ok(run);
    }
    let text = |name: &str| matches.get_one::<String>(name).cloned();
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
        setup: Setup::read(matches, "model")?,
        judge: text("judge"),
        attacks,
        norm,
        epsilons: list(text("epsilon").unwrap_or(usual)),
        target: text("target"),
        settings,
        json: text("json").map(Into::into),
        save: text("save").map(Into::into),
    };
    plan.check(&kinds)?;
    let out = plan.setup.directory("attack", matches.get_one("out"))?;
    Ok((plan, out))
}

fn kind(name: &str) -> anyhow::Result<AttackKind> {
    name.parse().map_err(|e| anyhow!("--attack {name}: {e}"))
}

impl Plan {
    /// Refuses what could not be carried out, before anything is.
    fn check(&self, kinds: &[AttackKind]) -> anyhow::Result<()> {
        self.target()?;
        self.epsilons()?.into_iter().try_for_each(|epsilon| self.config(epsilon).map(drop))?;
        for (key, _) in &self.settings {
            if !kinds.iter().any(|kind| kind.uses(key)) {
                bail!("--{key} is not used by --attack {}: leave it out", self.attacks.join(","));
            }
        }
        if self.save.is_some() && self.setup.models.len() * self.epsilons.len() > 1 {
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
            let mut config = AttackConfig { early_stop, ..AttackConfig::of(attack, norm).within(epsilon) };
            config.apply(&self.settings).map_err(|e| anyhow!("--{e}"))?;
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
