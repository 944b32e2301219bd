//! The models that are compared with the model in focus.

use std::collections::BTreeMap;

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, source::Source},
        state::attack::{Attack, AttackPhase},
    },
    protocol::{ModelInfo, Slot},
};

/// A model, what it makes of the image, and the attack on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedModel {
    pub model: ModelInfo,
    /// Probabilities of the clean image; empty until it is classified.
    pub clean: Vec<f32>,
    pub attack: Attack,
}

impl ComparedModel {
    pub fn new(model: ModelInfo) -> Self {
        Self { model, clean: Vec::new(), attack: Attack::default() }
    }
}

/// The models that are not in focus, by their place in the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    pub loaded: BTreeMap<Slot, ComparedModel>,
    /// On its way without having been asked for.
    pub fetching: Option<Source<BuiltinModel>>,
    /// Could not be had; not tried again.
    pub(crate) unavailable: Vec<Source<BuiltinModel>>,
}

impl Comparison {
    /// The model on its way could not be had. Gives false if none was.
    pub fn on_fetch_failed(&mut self) -> bool {
        let gone = self.fetching.take();
        self.unavailable.extend(gone);
        gone.is_some()
    }

    /// There is another image.
    pub fn reset_results(&mut self) {
        for side in self.loaded.values_mut() {
            side.clean.clear();
            side.attack = Attack::default();
        }
    }

    /// The worker that held them is gone; what could not be had may be there for the next.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// An attack by its number.
    pub fn attack(&mut self, id: u64) -> Option<&mut Attack> {
        self.loaded.values_mut().map(|side| &mut side.attack).find(|attack| attack.id == id)
    }

    /// The attack that runs.
    pub fn running(&mut self) -> Option<&mut Attack> {
        let attacks = self.loaded.values_mut().map(|side| &mut side.attack);
        attacks.into_iter().find(|attack| matches!(attack.phase, AttackPhase::Running { .. }))
    }
}
