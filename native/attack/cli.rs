//! Command line of `attack`, and the settings of a run as `run.json` stores them.

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
    evaluation::run_spec::{self, RunSpec},
};

/// Settings of a run, stored in `run.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    #[serde(flatten)]
    pub run: RunSpec,
    /// Model that decides whether an adversarial example succeeded, if it is not the attacked model.
    #[serde(rename = "judge")]
    pub eval_model: Option<String>,
    /// Names of attacks ([`AttackKind`]), run in sequence.
    pub attacks: Vec<String>,
    pub norm: String,
    epsilons: Vec<String>,
    target: Option<String>,
    /// Names and values of the settings that were given.
    settings: Vec<(String, String)>,
    /// Additional file for the results.
    pub json: Option<PathBuf>,
    /// Additional file for the adversarial images.
    pub save: Option<PathBuf>,
}

const HEADING: &str = "Settings of single attacks (autoattack uses the published ones)";

pub fn command() -> Command {
    let kinds: Vec<String> =
        AttackKind::ALL.iter().map(|kind| format!("  {:16} {}", kind.name(), kind.about())).collect();
    let command = Command::new("attack")
        .args_override_self(true)
        .about("Attack models and measure their robust accuracy")
        .after_help(format!(
            "Attacks (with several, such as apgd-ce,square, each runs on the images that are still classified correctly):\n{}\n\n\
             Attack a custom model with AutoAttack:\n  attack --model model.safetensors --dataset cifar10\n\
             Resume an interrupted run:\n  attack --resume DIR",
            kinds.join("\n")
        ))
        .arg(Arg::new("model").long("model").value_name("FILE").num_args(1..).required_unless_present("resume")
            .help("Checkpoints to attack and compare"))
        .arg(Arg::new("attack").long("attack").value_name("NAMES").default_value("autoattack")
            .help("Attacks, separated by commas; see below"))
        .arg(Arg::new("norm").long("norm").value_name("NORM").help("linf, l2 or l1 [default: linf; cw: l2]"))
        .arg(Arg::new("epsilon").long("epsilon").value_name("RADII").allow_hyphen_values(true).help(
            "Maximum norm of the perturbation, for pixels in [0,1]; several radii are separated by commas \
             [default: 8/255 in linf, 128/255 in l2, 12 in l1]",
        ))
        .arg(Arg::new("target").long("target").value_name("CLASS").help(
            "Target class: its number, random, or least-likely [default: any wrong class]",
        ))
        .arg(Arg::new("eval-model").long("eval-model").alias("judge").value_name("FILE").help(
            "Evaluate the adversarial examples on this model (transfer attack; fgsm, bim, pgd and mi-fgsm then take all \
             steps, the other attacks stop at their first success) [default: the attacked model]",
        ))
        .arg(Arg::new("json").long("json").value_name("FILE").help("Also write the results to this file"))
        .arg(Arg::new("save").long("save").value_name("FILE").help(
            "Also write the clean and adversarial images, labels, predictions, and the successful attack of each image to \
             this file (one model, one radius)",
        ));
    let default = |setting: &Setting| match setting.key {
        "step" => "epsilon / 4; simba 0.2".into(),
        "steps" => "20; bim, mi-fgsm 10; deepfool 50; apgd-*, fab* 100; cw 200".into(),
        key => AttackConfig::default().get(key).unwrap_or_default(),
    };
    arguments::options(run_spec::options(command), attack_settings(), HEADING, default)
}

/// Returns the settings of attacks that have no option of their own.
fn attack_settings() -> impl Iterator<Item = Setting> {
    let options = ["attack", "norm", "epsilon", "early-stop"];
    AttackConfig::settings().into_iter().filter(move |s| !options.contains(&s.key))
}

/// Returns a new run, or the run to resume, and its directory.
pub fn read(matches: &ArgMatches) -> anyhow::Result<(Plan, PathBuf)> {
    if let Some(run) = run_spec::resumed(matches)? {
        return Ok(run);
    }
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let attacks = arguments::list(&text("attack").expect("the option has a default"));
    let kinds = attacks.iter().map(|name| kind(name)).collect::<Result<Vec<_>, _>>()?;
    let only_l2 = kinds.contains(&AttackKind::Cw);
    let norm = text("norm").unwrap_or_else(|| if only_l2 { Norm::L2 } else { Norm::Linf }.to_string());
    let norm_value: Norm = norm.parse().map_err(|e| anyhow!("--norm: {e}"))?;
    let default_epsilon = AttackConfig::of(kinds[0], norm_value).get("epsilon").unwrap_or_default();
    let settings = attack_settings()
        .filter(|s| matches.value_source(s.key) == Some(ValueSource::CommandLine))
        .filter_map(|s| Some((s.key.to_owned(), text(s.key)?)))
        .collect();
    let plan = Plan {
        run: RunSpec::read(matches, "model")?,
        eval_model: text("eval-model"),
        attacks,
        norm,
        epsilons: arguments::list(&text("epsilon").unwrap_or(default_epsilon)),
        target: text("target"),
        settings,
        json: text("json").map(Into::into),
        save: text("save").map(Into::into),
    };
    plan.check(&kinds)?;
    let out = plan.run.new_run_dir("attack", matches.get_one("out"))?;
    Ok((plan, out))
}

fn kind(name: &str) -> anyhow::Result<AttackKind> {
    name.parse().map_err(|e| anyhow!("--attack {name}: {e}"))
}

impl Plan {
    /// Checks the options before anything is computed.
    fn check(&self, kinds: &[AttackKind]) -> anyhow::Result<()> {
        self.target()?;
        self.epsilons()?.into_iter().try_for_each(|epsilon| self.configs(epsilon).map(drop))?;
        for (key, _) in &self.settings {
            if !kinds.iter().any(|kind| kind.uses(key)) {
                bail!("--{key} is not used by --attack {}: leave it out", self.attacks.join(","));
            }
        }
        if self.save.is_some() && self.run.models.len() * self.epsilons.len() > 1 {
            bail!("--save needs one model and one radius; with several, the output directory contains a file for each");
        }
        Ok(())
    }

    /// Returns the settings of the attacks at a radius.
    pub fn configs(&self, epsilon: Pixels) -> anyhow::Result<Vec<AttackConfig>> {
        let norm = self.norm.parse().map_err(|e| anyhow!("--norm: {e}"))?;
        let config = |name: &String| {
            let attack = kind(name)?;
            if attack == AttackKind::Cw && norm != Norm::L2 {
                bail!("--attack cw measures perturbations in l2: leave out --norm {norm}");
            }
            // For another evaluation model, attacks continue after the first success where they can.
            let early_stop = self.eval_model.is_none();
            let mut config = AttackConfig { early_stop, ..AttackConfig::of(attack, norm).within(epsilon) };
            config.apply(&self.settings).map_err(|e| anyhow!("--{e}"))?;
            Ok(config)
        };
        self.attacks.iter().map(config).collect()
    }

    /// Returns the radii.
    pub fn epsilons(&self) -> anyhow::Result<Vec<Pixels>> {
        let parse = |text: &String| {
            let mut config = AttackConfig::default();
            config.set("epsilon", text).map_err(|e| anyhow!("--{e}"))?;
            Ok(config.epsilon)
        };
        self.epsilons.iter().map(parse).collect()
    }

    /// Returns the target class, if there is one.
    pub fn target(&self) -> anyhow::Result<Option<Target>> {
        self.target.as_ref().map(|text| text.parse().map_err(|e| anyhow!("--target {text}: {e}"))).transpose()
    }

    /// Returns a description of the settings for reports.
    pub fn description(&self) -> String {
        let mut parts: Vec<String> = self.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        parts.extend(self.target.iter().map(|target| format!("target {target}")));
        parts.extend(self.eval_model.iter().map(|model| format!("evaluated on {model}")));
        parts.join(", ")
    }
}
