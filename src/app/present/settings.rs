//! Which settings of the attack and of training are shown, whether they are used, and their help texts.

use crate::{
    app::{
        domain::{
            action::{TrainingAction, UserAction},
            backend::BackendKind,
        },
        state::{State, permalink, run::RunPhase},
    },
    attack::{AttackConfig, Norm},
    protocol::InitFrom,
    settings::{Error, Setting, Settings},
    train::TrainConfig,
};

/// The settings of training that are in view at once.
const ESSENTIAL: [&str; 8] =
    ["objective", "epochs", "batch", "rate", "lambda-sw", "lambda-jac", "train-epsilon", "train-steps"];

/// What is chosen elsewhere, or is for the native program.
const ELSEWHERE: [&str; 6] = ["dataset", "data-dir", "extra", "extra-share", "validation", "patience"];

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsGroup {
    Attack,
    Train,
}

impl SettingsGroup {
    /// Those in view, and the others.
    pub fn settings(self) -> [Vec<Setting>; 2] {
        let (all, first): (_, &[&str]) = match self {
            Self::Attack => (AttackConfig::settings(), &permalink::ESSENTIAL),
            Self::Train => (TrainConfig::settings(), &ESSENTIAL),
        };
        let offered = all.into_iter().filter(|s| self == Self::Attack || !ELSEWHERE.contains(&s.key));
        let (first, rest) = offered.partition(|s| first.contains(&s.key));
        [first, rest]
    }

    /// A control's id on the page: some settings of both have the same name.
    pub fn id(self, key: &str) -> String {
        match self {
            Self::Attack => key.into(),
            Self::Train => format!("fit-{key}"),
        }
    }

    pub fn get(self, state: &State, key: &str) -> String {
        let value = match self {
            Self::Attack => state.permalink.attack.get(key),
            Self::Train => state.permalink.train.get(key),
        };
        value.unwrap_or_default()
    }

    /// Whether a value would be taken.
    pub fn check(self, key: &str, value: &str) -> Result<(), Error> {
        match self {
            Self::Attack => AttackConfig::default().set(key, value),
            Self::Train => TrainConfig::default().set(key, value),
        }
    }

    pub fn action(self, key: &'static str, value: String) -> UserAction {
        match self {
            Self::Attack => UserAction::Set(key, value),
            Self::Train => UserAction::Train(TrainingAction::Set(key, value)),
        }
    }

    /// What pixel distances are measured by.
    pub fn norm(self, state: &State) -> Norm {
        match self {
            Self::Attack => state.permalink.attack.norm,
            Self::Train => Norm::Linf,
        }
    }

    pub fn used(self, state: &State, key: &str) -> bool {
        match self {
            Self::Attack => state.permalink.attack.attack.uses(key),
            Self::Train if key == "model" => state.permalink.init_from == InitFrom::Scratch,
            Self::Train if key == "mixed" => matches!(state.backend.current, Some((BackendKind::Gpu, _))),
            Self::Train => state.permalink.train.objective.uses(key),
        }
    }

    /// What to say of a setting.
    pub fn help(self, state: &State, setting: &Setting) -> String {
        let Setting { key, help, .. } = *setting;
        let under_way = || state.training.run.as_ref().is_some_and(|run| run.phase != RunPhase::Finished);
        match (self, key) {
            (Self::Attack, "attack") => state.permalink.attack.attack.about().into(),
            (Self::Train, "objective") => state.permalink.train.objective.about().into(),
            (Self::Attack, _) if !self.used(state, key) => {
                format!("{help}. Not used by {}.", state.permalink.attack.attack)
            }
            (Self::Train, "model") if !self.used(state, key) => {
                format!("{help}. Not used: the run begins from a model.")
            }
            (Self::Train, "mixed") if !self.used(state, key) => format!("{help}. Not used on the CPU."),
            (Self::Train, _) if !self.used(state, key) => {
                format!("{help}. Not used by {}.", state.permalink.train.objective)
            }
            (Self::Train, _) if !TrainConfig::live(key) && under_way() => {
                format!("{help} (fixed while a run is under way).")
            }
            _ => format!("{help}."),
        }
    }
}
