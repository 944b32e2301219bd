//! Switches the focus between the loaded models and keeps their attacks.

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, effect::Effect, source::Source},
        state::{
            State,
            attack::{Attack, AttackPhase},
            comparison::ComparedModel,
        },
    },
    protocol::Slot,
};

impl State {
    /// The attack under the model in a place.
    pub(crate) fn attack_under(&mut self, slot: Slot) -> Option<&mut Attack> {
        if self.slot() == Some(slot) {
            return Some(&mut self.attack);
        }
        self.comparison.loaded.get_mut(&slot).map(|side| &mut side.attack)
    }

    /// There is another model in a place: what the one before made of adversarial images says nothing about it.
    pub(crate) fn forget_transfers(&mut self, slot: Slot) {
        let sides = self.comparison.loaded.values_mut().map(|side| &mut side.attack);
        for attack in sides.chain([&mut self.attack]) {
            attack.transfer.retain(|(judge, _)| *judge != slot);
        }
    }

    /// Puts the model in focus aside, where it keeps its attack, and takes the one at `source` if it is loaded.
    pub(crate) fn swap_focus(&mut self, source: Source<BuiltinModel>) {
        let taken = self.comparison.loaded.remove(&source.slot());
        if let (Some(slot), Some(model)) = (self.slot(), self.model.take()) {
            let (clean, attack) = (std::mem::take(&mut self.clean_probabilities), std::mem::take(&mut self.attack));
            if slot != source.slot() {
                self.comparison.loaded.insert(slot, ComparedModel { model, clean, attack });
            }
        }
        self.model_in_use = None;
        if let Some(ComparedModel { model, clean, attack }) = taken {
            (self.model, self.clean_probabilities, self.attack) = (Some(model), clean, attack);
            self.model_in_use = Some(source);
        }
    }

    /// Turns to another model: at once if it is loaded, else when it is.
    pub(crate) fn focus(&mut self, source: Source<BuiltinModel>) -> Vec<Effect> {
        if self.model_in_use == Some(source) || !self.comparison.loaded.contains_key(&source.slot()) {
            return self.load_model();
        }
        self.swap_focus(source);
        let classes = self.model.as_ref().map_or(0, |m| m.classes.len());
        self.permalink.target = self.permalink.target.filter(|&class| class < classes);
        let attacked = matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. })
            && (&self.attack.config, self.attack.target) == (&self.permalink.attack, self.permalink.target);
        if attacked { self.schedule_next() } else { self.schedule_attack(0) }
    }
}
