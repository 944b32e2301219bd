//! Schedules background jobs: attacks on the other models, then probes for the open view, then training.

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, effect::Effect, source::Source},
        state::{
            State,
            attack::{Attack, AttackPhase},
        },
    },
    protocol::{Command, Slot},
    settings::Settings,
};

impl State {
    /// Starts the next background job, if the worker is idle.
    pub(crate) fn schedule_next(&mut self) -> Vec<Effect> {
        let effects = self.next_background_job();
        if effects.is_empty() { self.continue_training() } else { effects }
    }

    /// The next job other than training: once the attack in focus is complete, the other models are fetched and attacked with
    /// the same settings, then the probes of the open view are computed.
    fn next_background_job(&mut self) -> Vec<Effect> {
        let is_batch_running = self.batch.as_ref().is_some_and(|batch| batch.running);
        let is_idle = self.attack.phase.is_complete() && self.training.run_evaluation.is_none() && !is_batch_running;
        let is_busy = self.comparison.fetching.is_some() || self.comparison.is_attacking() || self.explorer.is_busy();
        if !is_idle || is_busy {
            return Vec::new();
        }
        // The user is waiting with a hand on the slider.
        if self.attack.rewound.is_some() && self.attack_steps().is_none() {
            return self.send_next_probe();
        }
        if let Some(source) = self.next_missing_model() {
            self.comparison.fetching = Some(source);
            return vec![Effect::LoadModel(source)];
        }
        match self.next_unattacked_slot() {
            Some(slot) => self.attack_compared_model(slot),
            None => self.send_next_probe(),
        }
    }

    /// A model that is available but not loaded.
    fn next_missing_model(&self) -> Option<Source<BuiltinModel>> {
        self.available_models().find(|source| {
            let slot = source.slot();
            let is_loaded = self.slot() == Some(slot) || self.comparison.loaded.contains_key(&slot);
            !is_loaded && !self.comparison.unavailable.contains(source)
        })
    }

    /// The slot of a model that was not attacked with the settings of the attack in focus.
    fn next_unattacked_slot(&self) -> Option<Slot> {
        let classes = self.model.as_ref().map(|model| &model.classes);
        let (config, target) = (&self.attack.config, self.attack.target);
        for (&slot, compared) in &self.comparison.loaded {
            let attack = &compared.attack;
            let is_attacked = attack.phase.is_complete() && attack.config == *config && attack.target == target;
            let is_classified = !compared.clean_probabilities.is_empty();
            if !is_attacked && is_classified && Some(&compared.model.classes) == classes {
                return Some(slot);
            }
        }
        None
    }

    fn attack_compared_model(&mut self, slot: Slot) -> Vec<Effect> {
        let id = self.next_id();
        let (config, target) = (self.attack.config.clone(), self.attack.target);
        let settings = config.to_pairs();
        let Some(compared) = self.comparison.loaded.get_mut(&slot) else { return Vec::new() };
        let phase = AttackPhase::Running { done: 0, total: 0 };
        compared.attack = Attack { id, phase, config, target, ..Attack::default() };
        vec![Effect::Send(Command::Attack { id, slot, settings, target })]
    }
}
