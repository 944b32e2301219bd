//! The models beside the one in focus: the same attack is made on each, so that they can be compared. Part of the fold in
//! `state`.

use std::collections::BTreeMap;

use super::{
    link::BuiltinModel,
    message::{Effect, Source},
    state::{Attack, AttackPhase, State},
};
use crate::{
    protocol::{Command, ModelInfo, Slot},
    settings::Settings,
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
    missing: Vec<Source<BuiltinModel>>,
}

impl Comparison {
    /// The model on its way could not be had. Gives false if none was.
    pub fn give_up(&mut self) -> bool {
        let gone = self.fetching.take();
        self.missing.extend(gone);
        gone.is_some()
    }

    /// There is another image.
    pub fn forget_image(&mut self) {
        for side in self.loaded.values_mut() {
            side.clean.clear();
            side.attack = Attack::default();
        }
    }

    /// The worker that held them is gone; what could not be had may be there for the next.
    pub fn forget(&mut self) {
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

impl State {
    /// The place of the model in focus.
    pub fn slot(&self) -> Option<Slot> {
        self.model_in_use.map(Source::slot)
    }

    /// The attack under the model in a place.
    pub(super) fn attack_under(&mut self, slot: Slot) -> Option<&mut Attack> {
        if self.slot() == Some(slot) {
            return Some(&mut self.attack);
        }
        self.sides.loaded.get_mut(&slot).map(|side| &mut side.attack)
    }

    /// There is another model in a place: what the one before made of adversarial images says nothing about it.
    pub(super) fn forget_transfers(&mut self, slot: Slot) {
        let sides = self.sides.loaded.values_mut().map(|side| &mut side.attack);
        for attack in sides.chain([&mut self.attack]) {
            attack.transfer.retain(|(judge, _)| *judge != slot);
        }
    }

    /// The file's name of the model in a place.
    pub fn name_of(&self, slot: Slot) -> Option<&str> {
        let side = || self.sides.loaded.get(&slot).map(|side| &side.model);
        let model = if self.slot() == Some(slot) { self.model.as_ref() } else { side() };
        model.map(|model| model.name.as_str())
    }

    /// The models that the page has or can have.
    pub fn known_models(&self) -> impl Iterator<Item = Source<BuiltinModel>> + use<> {
        BuiltinModel::all(self.link.model.world).map(Source::Builtin).chain(self.own_model.map(Source::Uploaded))
    }

    /// The models that can be compared: what is in focus, and what knows the same classes.
    pub fn comparable(&self) -> impl Iterator<Item = (Slot, &ModelInfo, &[f32], &Attack)> {
        let focus = self.slot().zip(self.model.as_ref());
        let classes = self.model.as_ref().map(|m| &m.classes);
        let beside = self.sides.loaded.iter().filter(move |(_, side)| Some(&side.model.classes) == classes);
        let focus = focus.map(|(slot, model)| (slot, model, &self.clean[..], &self.attack));
        let mut all: Vec<_> =
            focus.into_iter().chain(beside.map(|(slot, s)| (*slot, &s.model, &s.clean[..], &s.attack))).collect();
        all.sort_by_key(|(slot, ..)| *slot);
        all.into_iter()
    }

    /// Puts the model in focus aside, where it keeps its attack, and takes the one at `source` if it is loaded.
    pub(super) fn swap_focus(&mut self, source: Source<BuiltinModel>) {
        let taken = self.sides.loaded.remove(&source.slot());
        if let (Some(slot), Some(model)) = (self.slot(), self.model.take()) {
            let (clean, attack) = (std::mem::take(&mut self.clean), std::mem::take(&mut self.attack));
            if slot != source.slot() {
                self.sides.loaded.insert(slot, ComparedModel { model, clean, attack });
            }
        }
        self.model_in_use = None;
        if let Some(ComparedModel { model, clean, attack }) = taken {
            (self.model, self.clean, self.attack) = (Some(model), clean, attack);
            self.model_in_use = Some(source);
        }
    }

    /// Turns to another model: at once if it is loaded, else when it is.
    pub(super) fn focus(&mut self, source: Source<BuiltinModel>) -> Vec<Effect> {
        if self.model_in_use == Some(source) || !self.sides.loaded.contains_key(&source.slot()) {
            return self.load_model();
        }
        self.swap_focus(source);
        let classes = self.model.as_ref().map_or(0, |m| m.classes.len());
        self.link.target = self.link.target.filter(|&class| class < classes);
        let attacked = matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. })
            && (&self.attack.config, self.attack.target) == (&self.link.attack, self.link.target);
        if attacked { self.schedule_next() } else { self.schedule_attack(0) }
    }

    /// What is still to be done: the other models are attacked, the open view's probes asked, and then the run trains.
    pub(super) fn schedule_next(&mut self) -> Vec<Effect> {
        let tasks = self.next_background_job();
        if tasks.is_empty() { self.continue_training() } else { tasks }
    }

    /// Once the attack in focus is over, the other models are fetched and attacked alike, then the open view's probes
    /// asked.
    fn next_background_job(&mut self) -> Vec<Effect> {
        let idle = self.training.run_evaluation.is_none()
            && matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. })
            && self.many.as_ref().is_none_or(|m| !m.running);
        let at_work = self.sides.fetching.is_some()
            || self.sides.loaded.values().any(|side| matches!(side.attack.phase, AttackPhase::Running { .. }));
        if !idle || at_work || self.explored.busy() {
            return Vec::new();
        }
        if self.attack.rewound.is_some() && self.moments().is_none() {
            return self.ask();
        }
        let known = |source: &Source<BuiltinModel>| {
            self.slot() == Some(source.slot()) || self.sides.loaded.contains_key(&source.slot())
        };
        let missing = self.known_models().find(|s| !known(s) && !self.sides.missing.contains(s));
        if let Some(source) = missing {
            self.sides.fetching = Some(source);
            return vec![Effect::LoadModel(source)];
        }
        let (config, target) = (self.attack.config.clone(), self.attack.target);
        let classes = self.model.as_ref().map(|m| m.classes.clone());
        let due = |side: &ComparedModel| {
            let ended = matches!(side.attack.phase, AttackPhase::Done { stopped: false, .. });
            let same = ended && side.attack.config == config && side.attack.target == target;
            !same && !side.clean.is_empty() && Some(&side.model.classes) == classes.as_ref()
        };
        let Some((&slot, side)) = self.sides.loaded.iter_mut().find(|(_, side)| due(side)) else {
            return self.ask();
        };
        self.last_id += 1;
        let settings = config.to_pairs();
        let phase = AttackPhase::Running { done: 0, total: 0 };
        side.attack = Attack { id: self.last_id, phase, config, target, ..Attack::default() };
        vec![Effect::Send(Command::Attack { id: self.last_id, slot, settings, target })]
    }
}
