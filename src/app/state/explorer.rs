//! Cached answers of the worker for the explorer, and the pending probe.

use std::collections::BTreeMap;

use crate::{
    app::state::State,
    explore::probe::{Probe, ProbeResult},
    protocol::Slot,
};

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAnswer {
    /// The id of the attack that was analyzed. The answer is stale if there is a later attack.
    pub attack: u64,
    /// The result, or the reason why there is none.
    pub answer: Result<ProbeResult, String>,
}

/// A probe of a model and the attack on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRequest {
    /// The slot of the model.
    pub slot: Slot,
    /// The id of the attack.
    pub attack: u64,
    /// The probe.
    pub probe: Probe,
}

/// The probe that the worker computes.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingProbe {
    /// The id of the command.
    pub(crate) id: u64,
    /// The probe.
    pub(crate) request: ProbeRequest,
}

/// The cached answers, and the pending probe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplorerCache {
    /// The last answer for each slot and probe.
    pub answers: BTreeMap<(Slot, Probe), CachedAnswer>,
    pub(crate) pending: Option<PendingProbe>,
}

impl ExplorerCache {
    /// Whether the worker computes a probe.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }
}

impl State {
    /// The last answer to a probe of a model. It may be stale.
    pub fn cached_answer(&self, slot: Slot, probe: &Probe) -> Option<&CachedAnswer> {
        self.explorer.answers.get(&(slot, probe.clone()))
    }

    /// The result of a probe of a model. It may be stale.
    pub fn cached_result(&self, slot: Slot, probe: &Probe) -> Option<&ProbeResult> {
        self.cached_answer(slot, probe)?.answer.as_ref().ok()
    }

    /// The probes that the page needs, the most urgent first: the steps of a rewound attack, then the probes of the open view.
    /// Models whose attack is not complete are skipped.
    pub fn required_probes(&self) -> Vec<ProbeRequest> {
        let mut attacked: Vec<(Slot, u64)> = Vec::new();
        for results in self.comparable_models() {
            if results.attack.phase.is_complete() && results.attack.result.is_some() {
                attacked.push((results.slot, results.attack.id));
            }
        }
        let mut requests = Vec::new();
        // The user is waiting with a hand on the slider.
        if self.attack.rewound.is_some() {
            for &(slot, attack) in &attacked {
                if self.slot() == Some(slot) {
                    requests.push(ProbeRequest { slot, attack, probe: Probe::AttackSteps });
                }
            }
        }
        let Some(view) = self.permalink.view else { return requests };
        for probe in view.probes(&self.permalink.layer) {
            for &(slot, attack) in &attacked {
                if self.applies_to(&probe, slot) {
                    requests.push(ProbeRequest { slot, attack, probe: probe.clone() });
                }
            }
        }
        requests
    }

    /// Whether a view needs the probe of the model in a slot.
    fn applies_to(&self, probe: &Probe, slot: Slot) -> bool {
        match probe {
            // The layer may have been selected in another network.
            Probe::ChannelMaps(layer) => match self.cached_result(slot, &Probe::Layers) {
                Some(ProbeResult::Layers(shifts)) => shifts.iter().any(|shift| shift.name == *layer),
                _ => false,
            },
            // Only the model in focus is shown.
            Probe::Transport | Probe::Landscape => self.slot() == Some(slot),
            _ => true,
        }
    }
}
