//! The models that are compared with the model in focus.

use std::collections::BTreeMap;

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, source::Source},
        state::attack::{Attack, AttackPhase},
    },
    protocol::{ModelInfo, Slot},
};

/// A loaded model that is not in focus, with its results for the current image.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedModel {
    /// The model.
    pub model: ModelInfo,
    /// Class probabilities of the original image; empty until it is classified.
    pub clean_probabilities: Vec<f32>,
    /// The attack on the model.
    pub attack: Attack,
}

impl ComparedModel {
    /// A model without results.
    pub fn new(model: ModelInfo) -> Self {
        Self { model, clean_probabilities: Vec::new(), attack: Attack::default() }
    }
}

/// The models that are not in focus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The loaded models, by slot.
    pub loaded: BTreeMap<Slot, ComparedModel>,
    /// The model that is being fetched in the background.
    pub fetching: Option<Source<BuiltinModel>>,
    /// Models that could not be loaded. They are not tried again.
    pub(crate) unavailable: Vec<Source<BuiltinModel>>,
}

impl Comparison {
    /// Marks the model that is being fetched as unavailable. Returns whether there was one.
    pub fn on_fetch_failed(&mut self) -> bool {
        let Some(source) = self.fetching.take() else { return false };
        self.unavailable.push(source);
        true
    }

    /// Removes all results, because there is another image.
    pub fn reset_results(&mut self) {
        for compared in self.loaded.values_mut() {
            compared.clean_probabilities.clear();
            compared.attack = Attack::default();
        }
    }

    /// Removes all models, because the worker that held them is gone. Unavailable models may be tried again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The attack with this id.
    pub fn attack_mut(&mut self, id: u64) -> Option<&mut Attack> {
        self.attacks_mut().find(|attack| attack.id == id)
    }

    /// The attack that runs.
    pub fn running_attack_mut(&mut self) -> Option<&mut Attack> {
        self.attacks_mut().find(|attack| matches!(attack.phase, AttackPhase::Running { .. }))
    }

    /// Whether an attack runs.
    pub fn is_attacking(&self) -> bool {
        self.loaded.values().any(|compared| matches!(compared.attack.phase, AttackPhase::Running { .. }))
    }

    /// The attacks on all models.
    pub fn attacks_mut(&mut self) -> impl Iterator<Item = &mut Attack> {
        self.loaded.values_mut().map(|compared| &mut compared.attack)
    }
}
