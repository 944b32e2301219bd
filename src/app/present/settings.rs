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

/// The training settings that are always shown. The others are behind a disclosure widget.
const ESSENTIAL_TRAINING: [&str; 8] =
    ["objective", "epochs", "batch", "rate", "lambda-sw", "lambda-jac", "train-epsilon", "train-steps"];

/// The training settings that have a control elsewhere or are for the native program only.
const HIDDEN_TRAINING: [&str; 6] = ["dataset", "data-dir", "extra", "extra-share", "validation", "patience"];

/// A group of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsGroup {
    /// The settings of the attack.
    Attack,
    /// The settings of training.
    Train,
}

/// The settings of a group.
pub struct ShownSettings {
    /// Those that are always shown.
    pub essential: Vec<Setting>,
    /// Those that are shown on demand.
    pub more: Vec<Setting>,
}

impl SettingsGroup {
    /// The settings of the group that the page shows.
    pub fn settings(self) -> ShownSettings {
        let (mut all, essential): (Vec<Setting>, &[&str]) = match self {
            Self::Attack => (AttackConfig::settings(), &permalink::ESSENTIAL),
            Self::Train => (TrainConfig::settings(), &ESSENTIAL_TRAINING),
        };
        if self == Self::Train {
            all.retain(|setting| !HIDDEN_TRAINING.contains(&setting.key));
        }
        let (essential, more) = all.into_iter().partition(|setting| essential.contains(&setting.key));
        ShownSettings { essential, more }
    }

    /// The id of a control. Some settings of the two groups have the same name.
    pub fn id(self, key: &str) -> String {
        match self {
            Self::Attack => key.into(),
            Self::Train => format!("fit-{key}"),
        }
    }

    /// The current value of a setting.
    pub fn get(self, state: &State, key: &str) -> String {
        let value = match self {
            Self::Attack => state.permalink.attack.get(key),
            Self::Train => state.permalink.train.get(key),
        };
        value.unwrap_or_default()
    }

    /// Checks whether a value is valid.
    ///
    /// # Errors
    /// Returns what is wrong with the value.
    pub fn check(self, key: &str, value: &str) -> Result<(), Error> {
        match self {
            Self::Attack => AttackConfig::default().set(key, value),
            Self::Train => TrainConfig::default().set(key, value),
        }
    }

    /// The action that changes a setting.
    pub fn action(self, key: &'static str, value: String) -> UserAction {
        match self {
            Self::Attack => UserAction::SetAttackSetting(key, value),
            Self::Train => UserAction::Train(TrainingAction::Set(key, value)),
        }
    }

    /// The norm that radii are measured in.
    pub fn norm(self, state: &State) -> Norm {
        match self {
            Self::Attack => state.permalink.attack.norm,
            Self::Train => Norm::Linf,
        }
    }

    /// Whether a setting has an effect.
    pub fn is_used(self, state: &State, key: &str) -> bool {
        match (self, key) {
            (Self::Attack, _) => state.permalink.attack.attack.uses(key),
            (Self::Train, "model") => state.permalink.init_from == InitFrom::Scratch,
            (Self::Train, "mixed") => matches!(state.backend.current, Some((BackendKind::Gpu, _))),
            (Self::Train, _) => state.permalink.train.objective.uses(key),
        }
    }

    /// The help text of a setting.
    pub fn help(self, state: &State, setting: &Setting) -> String {
        let Setting { key, help, .. } = *setting;
        let (attack, objective) = (state.permalink.attack.attack, state.permalink.train.objective);
        match (self, key) {
            (Self::Attack, "attack") => return attack.about().into(),
            (Self::Train, "objective") => return objective.about().into(),
            _ => {}
        }
        if !self.is_used(state, key) {
            return match (self, key) {
                (Self::Attack, _) => format!("{help}. Not used by {attack}."),
                (Self::Train, "model") => format!("{help}. Not used: the run starts from a model."),
                (Self::Train, "mixed") => format!("{help}. Not used on the CPU."),
                (Self::Train, _) => format!("{help}. Not used by {objective}."),
            };
        }
        let has_active_run = state.training.run.as_ref().is_some_and(|run| run.phase != RunPhase::Finished);
        if self == Self::Train && has_active_run && !TrainConfig::live(key) {
            return format!("{help} (cannot change during a run).");
        }
        format!("{help}.")
    }
}
