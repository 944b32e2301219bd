//! Starts, preempts and resumes the attack on the current image, and handles its events.

use std::mem;

use crate::{
    app::{
        domain::effect::Effect,
        state::{State, attack::AttackPhase},
    },
    protocol::{AttackResult, Command, Trace, Transfer},
    settings::Settings,
};

/// Delay in milliseconds between a change and the attack. While a slider moves, no attack starts.
pub(crate) const ATTACK_DELAY: u32 = 40;

/// The results of an attack that has ended.
pub(crate) struct CompletedAttack {
    pub(crate) id: u64,
    pub(crate) stopped: bool,
    pub(crate) milliseconds: f64,
    pub(crate) result: AttackResult,
    pub(crate) traces: Vec<Trace>,
    pub(crate) flags: Vec<String>,
    pub(crate) transfer: Vec<Transfer>,
}

impl State {
    /// Discards the active attack, because a longer job needs the worker. Returns whether there was one.
    pub(crate) fn preempt_attack(&mut self) -> bool {
        if !self.is_attacking() {
            return false;
        }
        self.reset_attack();
        self.attack.phase = AttackPhase::Idle;
        self.attack_preempted = true;
        true
    }

    /// Runs a preempted attack again, or else the next background job.
    pub(crate) fn resume_preempted_attack(&mut self) -> Vec<Effect> {
        let was_preempted = mem::take(&mut self.attack_preempted);
        if was_preempted && !self.is_attacking() && !self.attack.phase.is_complete() {
            self.schedule_attack(0)
        } else {
            self.schedule_next()
        }
    }

    /// Removes the results of the attack.
    pub(crate) fn reset_attack(&mut self) {
        self.attack.result = None;
        self.attack.rewound = None;
        self.saved_image = None;
        self.attack.traces.clear();
        self.attack.flags.clear();
        self.attack.transfer.clear();
    }

    /// Starts the attack after a delay in milliseconds, if there is a classified image.
    pub(crate) fn schedule_attack(&mut self, delay: u32) -> Vec<Effect> {
        if self.clean_probabilities.is_empty() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.attack.phase = AttackPhase::Scheduled;
        vec![Effect::StartAttackTimer(delay)]
    }

    /// Starts the scheduled attack.
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
        self.attack.id = self.next_id();
        self.attack.config = self.permalink.attack.clone();
        self.attack.target = self.permalink.target;
        self.attack.flags.clear();
        self.attack.rewound = None;
        self.saved_image = None;
        self.attack.phase = AttackPhase::Running { done: 0, total: 0 };
        let settings = self.attack.config.to_pairs();
        vec![Effect::Send(Command::Attack { id: self.attack.id, slot, settings, target: self.attack.target })]
    }

    /// Updates the attack in focus.
    pub(crate) fn on_attack_progress(&mut self, phase: AttackPhase, result: AttackResult, traces: Vec<Trace>) {
        // If the settings have changed since, the next attack is already scheduled.
        if self.attack.phase != AttackPhase::Scheduled {
            self.attack.phase = phase;
        }
        (self.attack.result, self.attack.traces) = (Some(result), traces);
    }

    /// Stores the results of an attack, which may be on another model.
    pub(crate) fn on_attack_done(&mut self, completed: CompletedAttack) -> Vec<Effect> {
        let CompletedAttack { id, stopped, milliseconds, result, traces, flags, transfer } = completed;
        let attack = if id == self.attack.id { Some(&mut self.attack) } else { self.comparison.attack_mut(id) };
        if let Some(attack) = attack {
            if attack.phase != AttackPhase::Scheduled {
                let steps = traces.iter().map(|trace| trace.steps).sum();
                attack.phase = AttackPhase::Done { steps, milliseconds, stopped };
            }
            (attack.result, attack.traces) = (Some(result), traces);
            (attack.flags, attack.transfer) = (flags, Vec::new());
        }
        for Transfer { source, evaluated_on, probabilities } in transfer {
            if let Some(attack) = self.attack_on(source) {
                attack.transfer.retain(|(slot, _)| *slot != evaluated_on);
                attack.transfer.push((evaluated_on, probabilities));
            }
        }
        self.schedule_next()
    }
}
