//! Starts, preempts and resumes the attack on the current image.

use crate::{
    app::{
        domain::effect::Effect,
        state::{State, attack::AttackPhase},
    },
    protocol::Command,
    settings::Settings,
};

impl State {
    /// Something long takes the worker from the attack on the image, if there is one, whose outcome is then unknown.
    pub(crate) fn preempt_attack(&mut self) -> bool {
        let busy = self.busy();
        if busy {
            self.forget_attack();
            self.attack.phase = AttackPhase::Idle;
            self.attack_preempted = true;
        }
        busy
    }

    /// What took the worker from the attack on the image is over.
    pub(crate) fn resume_preempted_attack(&mut self) -> Vec<Effect> {
        let over = self.busy() || matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. });
        if std::mem::take(&mut self.attack_preempted) && !over { self.schedule_attack(0) } else { self.schedule_next() }
    }

    /// The worker that attacked many images is gone.
    pub(crate) fn abort_batch(&mut self) {
        if let Some(many) = self.batch.as_mut().filter(|many| many.running) {
            (many.running, many.stopped) = (false, true);
        }
    }

    pub(crate) fn forget_attack(&mut self) {
        self.attack.result = None;
        self.attack.rewound = None;
        self.saved_image = None;
        self.attack.traces.clear();
        self.attack.flags.clear();
        self.attack.transfer.clear();
    }

    /// Attacks in a moment, if there is something to attack.
    pub(crate) fn schedule_attack(&mut self, pause: u32) -> Vec<Effect> {
        if self.clean_probabilities.is_empty() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.attack.phase = AttackPhase::Scheduled;
        vec![Effect::StartAttackTimer(pause)]
    }

    pub(crate) fn start_attack(&mut self) -> Vec<Effect> {
        if self.attack.phase != AttackPhase::Scheduled || self.backend.current.is_none() {
            return Vec::new();
        }
        let Some(slot) = self.slot() else {
            self.attack.phase = AttackPhase::Idle;
            return Vec::new();
        };
        self.commit_crop();
        self.cancel_probe();
        self.last_id += 1;
        self.attack.id = self.last_id;
        self.attack.config = self.permalink.attack.clone();
        self.attack.target = self.permalink.target;
        self.attack.flags.clear();
        self.attack.rewound = None;
        self.saved_image = None;
        self.attack.phase = AttackPhase::Running { done: 0, total: 0 };
        let settings = self.attack.config.to_pairs();
        vec![Effect::Send(Command::Attack { id: self.attack.id, slot, settings, target: self.attack.target })]
    }
}
