//! Schedules background jobs: attacks on the other models, then probes for the open view, then training.

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, effect::Effect, source::Source},
        state::{
            State,
            attack::{Attack, AttackPhase},
            comparison::ComparedModel,
        },
    },
    protocol::Command,
    settings::Settings,
};

impl State {
    /// What is still to be done: the other models are attacked, the open view's probes asked, and then the run trains.
    pub(crate) fn schedule_next(&mut self) -> Vec<Effect> {
        let tasks = self.next_background_job();
        if tasks.is_empty() { self.continue_training() } else { tasks }
    }

    /// Once the attack in focus is over, the other models are fetched and attacked alike, then the open view's probes
    /// asked.
    fn next_background_job(&mut self) -> Vec<Effect> {
        let idle = self.training.run_evaluation.is_none()
            && matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. })
            && self.batch.as_ref().is_none_or(|m| !m.running);
        let at_work = self.comparison.fetching.is_some()
            || self.comparison.loaded.values().any(|side| matches!(side.attack.phase, AttackPhase::Running { .. }));
        if !idle || at_work || self.explorer.busy() {
            return Vec::new();
        }
        if self.attack.rewound.is_some() && self.attack_steps().is_none() {
            return self.send_next_probe();
        }
        let known = |source: &Source<BuiltinModel>| {
            self.slot() == Some(source.slot()) || self.comparison.loaded.contains_key(&source.slot())
        };
        let missing = self.known_models().find(|s| !known(s) && !self.comparison.unavailable.contains(s));
        if let Some(source) = missing {
            self.comparison.fetching = Some(source);
            return vec![Effect::LoadModel(source)];
        }
        let (config, target) = (self.attack.config.clone(), self.attack.target);
        let classes = self.model.as_ref().map(|m| m.classes.clone());
        let due = |side: &ComparedModel| {
            let ended = matches!(side.attack.phase, AttackPhase::Done { stopped: false, .. });
            let same = ended && side.attack.config == config && side.attack.target == target;
            !same && !side.clean.is_empty() && Some(&side.model.classes) == classes.as_ref()
        };
        let Some((&slot, side)) = self.comparison.loaded.iter_mut().find(|(_, side)| due(side)) else {
            return self.send_next_probe();
        };
        self.last_id += 1;
        let settings = config.to_pairs();
        let phase = AttackPhase::Running { done: 0, total: 0 };
        side.attack = Attack { id: self.last_id, phase, config, target, ..Attack::default() };
        vec![Effect::Send(Command::Attack { id: self.last_id, slot, settings, target })]
    }
}
