//! Switches the focus between the loaded models and keeps their attacks.

use std::mem;

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, effect::Effect, source::Source},
        state::{State, attack::Attack, comparison::ComparedModel},
    },
    protocol::Slot,
};

impl State {
    /// The attack on the model in a slot.
    pub(crate) fn attack_on(&mut self, slot: Slot) -> Option<&mut Attack> {
        if self.slot() == Some(slot) {
            return Some(&mut self.attack);
        }
        self.comparison.loaded.get_mut(&slot).map(|compared| &mut compared.attack)
    }

    /// Removes the predictions of the previous model of a slot for adversarial images of other models.
    pub(crate) fn remove_transfers_to(&mut self, slot: Slot) {
        for attack in self.comparison.attacks_mut().chain([&mut self.attack]) {
            attack.transfer.retain(|(evaluated_on, _)| *evaluated_on != slot);
        }
    }

    /// Moves the model in focus and its results to the comparison, and focuses on the model of `source` if it is loaded.
    pub(crate) fn swap_focus(&mut self, source: Source<BuiltinModel>) {
        let next = self.comparison.loaded.remove(&source.slot());
        if let (Some(slot), Some(model)) = (self.slot(), self.model.take()) {
            let clean_probabilities = mem::take(&mut self.clean_probabilities);
            let attack = mem::take(&mut self.attack);
            if slot != source.slot() {
                self.comparison.loaded.insert(slot, ComparedModel { model, clean_probabilities, attack });
            }
        }
        self.model_source = None;
        if let Some(ComparedModel { model, clean_probabilities, attack }) = next {
            (self.model, self.model_source) = (Some(model), Some(source));
            (self.clean_probabilities, self.attack) = (clean_probabilities, attack);
        }
    }

    /// Focuses on a model. If it is not loaded, it is loaded first.
    pub(crate) fn focus(&mut self, source: Source<BuiltinModel>) -> Vec<Effect> {
        if self.model_source == Some(source) || !self.comparison.loaded.contains_key(&source.slot()) {
            return self.load_model();
        }
        self.swap_focus(source);
        let classes = self.model.as_ref().map_or(0, |model| model.classes.len());
        self.permalink.target = self.permalink.target.filter(|&class| class < classes);
        let is_attacked = self.attack.phase.is_complete()
            && self.attack.config == self.permalink.attack
            && self.attack.target == self.permalink.target;
        if is_attacked { self.schedule_next() } else { self.schedule_attack(0) }
    }
}
