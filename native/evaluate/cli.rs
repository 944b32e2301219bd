//! Command line of `evaluate`, and the settings of a run as `run.json` stores them.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Arg, ArgMatches, Command};
use otjr::{
    attack::{AttackConfig, AttackKind, Norm},
    evaluate::View,
    settings::{Setting, Settings},
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
    /// Names of [`Test`]s.
    pub tests: Vec<String>,
    pub epsilon: String,
    pub seed: String,
}

/// A test of a model.
pub enum Test {
    /// Clean or corrupted images.
    Views(Vec<View>),
    /// An attack.
    Attack(AttackConfig),
}

pub fn command() -> Command {
    let command = Command::new("evaluate")
        .args_override_self(true)
        .about("Compare the accuracy of models on clean, corrupted and adversarial images")
        .after_help(
            "Corruptions are generated here, after CIFAR-10-C: twelve kinds in five severities. Each attack is run on all \
             images, in L-inf; pgd-20 takes 20 steps of size epsilon / 4 from one random start.\n\n\
             Compare custom models:\n  evaluate --weights a.safetensors b.safetensors --dataset cifar10\n\
             Resume an interrupted run:\n  evaluate --resume DIR",
        )
        .arg(Arg::new("weights").long("weights").value_name("FILE").num_args(1..).required_unless_present("resume")
            .help("Checkpoints to compare"))
        .arg(Arg::new("attacks").long("attacks").value_name("NAMES").default_value("clean,corruptions,pgd-20,autoattack")
            .help("Tests, separated by commas: clean, corruptions, pgd-STEPS, or any attack of the program `attack`"));
    let used = |s: &Setting| ["epsilon", "seed"].contains(&s.key);
    let default = |s: &Setting| AttackConfig::default().get(s.key).unwrap_or_default();
    arguments::options(
        run_spec::options(command),
        AttackConfig::settings().into_iter().filter(used),
        "Settings",
        default,
    )
}

/// Returns a new run, or the run to resume, and its directory.
pub fn read(matches: &ArgMatches) -> anyhow::Result<(Plan, PathBuf)> {
    if let Some(run) = run_spec::resumed(matches)? {
        return Ok(run);
    }
    let setting = |key: &str| {
        matches.get_one::<String>(key).cloned().or_else(|| AttackConfig::default().get(key)).unwrap_or_default()
    };
    let tests = matches.get_one::<String>("attacks").expect("the option has a default");
    let plan = Plan {
        run: RunSpec::read(matches, "weights")?,
        tests: arguments::list(tests),
        epsilon: setting("epsilon"),
        seed: setting("seed"),
    };
    plan.tests()?;
    let out = plan.run.new_run_dir("evaluate", matches.get_one("out"))?;
    Ok((plan, out))
}

impl Plan {
    /// Returns the tests in the order in which they are run.
    pub fn tests(&self) -> anyhow::Result<Vec<Test>> {
        self.tests.iter().map(|name| self.test(name)).collect()
    }

    fn test(&self, name: &str) -> anyhow::Result<Test> {
        let (kind, steps) = match name {
            "clean" => return Ok(Test::Views(vec![View::Clean])),
            "corruptions" => return Ok(Test::Views(View::corruptions())),
            _ => name.strip_prefix("pgd-").map_or((name, None), |steps| ("pgd", Some(steps))),
        };
        let kind: AttackKind = kind
            .parse()
            .map_err(|e| anyhow!("--attacks {name}: expected clean, corruptions, pgd-STEPS, or an attack; {e}"))?;
        let mut config = AttackConfig { early_stop: true, ..AttackConfig::of(kind, Norm::Linf) };
        if config.norm != Norm::Linf {
            bail!(
                "--attacks {name}: this attack measures perturbations in {}, the others in linf: run it with `attack`",
                config.norm
            );
        }
        for (key, value) in [("epsilon", &self.epsilon), ("seed", &self.seed)] {
            config.set(key, value).map_err(|e| anyhow!("--{e}"))?;
        }
        let epsilon = config.epsilon;
        config = config.within(epsilon);
        if let Some(steps) = steps {
            config.set("steps", steps).map_err(|e| anyhow!("--attacks {name}: {e}"))?;
        }
        Ok(Test::Attack(config))
    }

    /// Returns the seed of the corruptions.
    pub fn seed(&self) -> anyhow::Result<u64> {
        let mut config = AttackConfig::default();
        config.set("seed", &self.seed).map_err(|e| anyhow!("--{e}"))?;
        Ok(config.seed)
    }
}
