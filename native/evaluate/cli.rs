//! What the command line asks for, in a form that can be kept in the output directory and gone on with.

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
    evaluation::run_spec::{self, Setup},
};

/// A run; kept in its directory's `run.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    #[serde(flatten)]
    pub setup: Setup,
    /// Names of [`Test`]s.
    pub tests: Vec<String>,
    pub epsilon: String,
    pub seed: String,
}

/// What models are put to.
pub enum Test {
    Views(Vec<View>),
    Attack(AttackConfig),
}

pub fn command() -> Command {
    let command = Command::new("evaluate")
        .args_override_self(true)
        .about("Puts models side by side: how often they are right on clean, corrupted and adversarial images")
        .after_help(
            "Corruptions are made here, after CIFAR-10-C: twelve kinds in five severities. Each attack is run on its own, \
             within L-inf; pgd-20 takes 20 steps of a quarter of epsilon from one random start.\n\n\
             Models of your own:\n  evaluate --weights a.safetensors b.safetensors --dataset cifar10\n\
             Interrupted runs go on with:\n  evaluate --resume DIR",
        )
        .arg(Arg::new("weights").long("weights").value_name("FILE").num_args(1..).required_unless_present("resume")
            .help("Checkpoints to put side by side"))
        .arg(Arg::new("attacks").long("attacks").value_name("NAMES").default_value("clean,corruptions,pgd-20,autoattack")
            .help("What to put them to, with commas between: clean, corruptions, pgd-STEPS, or any attack that `attack` knows"));
    let given = |s: &Setting| ["epsilon", "seed"].contains(&s.key);
    let default = |s: &Setting| AttackConfig::default().get(s.key).unwrap_or_default();
    arguments::options(
        run_spec::options(command),
        AttackConfig::settings().into_iter().filter(given),
        "Settings",
        default,
    )
}

/// The run asked for and its directory: a new one, or one to go on with.
pub fn read(matches: &ArgMatches) -> anyhow::Result<(Plan, PathBuf)> {
    if let Some(run) = run_spec::resumed(matches)? {
        return Ok(run);
    }
    let setting = |key: &str| {
        matches.get_one::<String>(key).cloned().or_else(|| AttackConfig::default().get(key)).unwrap_or_default()
    };
    let tests = matches.get_one::<String>("attacks").expect("it has a default");
    let plan = Plan {
        setup: Setup::read(matches, "weights")?,
        tests: tests.split(',').map(|name| name.trim().to_owned()).collect(),
        epsilon: setting("epsilon"),
        seed: setting("seed"),
    };
    plan.tests()?;
    let out = plan.setup.directory("evaluate", matches.get_one("out"))?;
    Ok((plan, out))
}

impl Plan {
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
                "--attacks {name}: it measures perturbations in {}, the others in linf: run it with `attack`",
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

    /// Of the corruptions.
    pub fn seed(&self) -> anyhow::Result<u64> {
        let mut config = AttackConfig::default();
        config.set("seed", &self.seed).map_err(|e| anyhow!("--{e}"))?;
        Ok(config.seed)
    }
}
