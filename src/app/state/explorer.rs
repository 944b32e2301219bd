//! Cached answers of the worker for the explorer, and the pending probe.

use std::collections::BTreeMap;

use crate::{
    app::state::{State, attack::AttackPhase},
    explore::probe::{Probe, ProbeResult},
    protocol::Slot,
};

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAnswer {
    /// The number of the attack that it is about: stale when there is a later one.
    pub attack: u64,
    pub answer: Result<ProbeResult, String>,
}

/// What is being asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingProbe {
    /// Its number.
    pub(crate) id: u64,
    pub(crate) key: (Slot, Probe),
    /// The number of the attack that it is about.
    pub(crate) attack: u64,
}

/// What is known for the views.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplorerCache {
    pub answers: BTreeMap<(Slot, Probe), CachedAnswer>,
    pub(crate) pending: Option<PendingProbe>,
}

impl ExplorerCache {
    pub fn busy(&self) -> bool {
        self.pending.is_some()
    }
}

impl State {
    /// The answer about a model, even of an attack before the last one.
    pub fn cached_answer(&self, slot: Slot, probe: &Probe) -> Option<&CachedAnswer> {
        self.explorer.answers.get(&(slot, probe.clone()))
    }

    /// What the open view needs to know, and the attack if it is rewound: the place of a model, the number of the attack on
    /// it, the probe.
    pub fn probes(&self) -> Vec<(Slot, u64, Probe)> {
        let over = |phase| matches!(phase, AttackPhase::Done { stopped: false, .. });
        let attacked: Vec<(Slot, u64)> = self
            .comparable()
            .filter(|(.., attack)| over(attack.phase) && attack.result.is_some())
            .map(|(slot, .., attack)| (slot, attack.id))
            .collect();
        let probes = self.permalink.view.map(|view| view.probes(&self.permalink.layer)).unwrap_or_default();
        // A layer was perhaps chosen in another network.
        let has = |slot, layer: &String| match self.cached_answer(slot, &Probe::Layers).map(|known| &known.answer) {
            Some(Ok(ProbeResult::Layers(shifts))) => shifts.iter().any(|shift| shift.name == *layer),
            _ => false,
        };
        // These show the model in focus only.
        let of_one = |probe: &Probe| matches!(probe, Probe::Transport | Probe::Landscape);
        let of = |probe: &Probe, slot| match probe {
            Probe::ChannelMaps(layer) => has(slot, layer),
            _ => !of_one(probe) || self.slot() == Some(slot),
        };
        // The user waits for it with a hand on the slider.
        let back = attacked.iter().filter(|(slot, _)| self.slot() == Some(*slot) && self.attack.rewound.is_some());
        let mut all: Vec<_> = back.map(|&(slot, attack)| (slot, attack, Probe::AttackSteps)).collect();
        for probe in probes {
            let models = attacked.iter().filter(|(slot, _)| of(&probe, *slot));
            all.extend(models.map(|&(slot, attack)| (slot, attack, probe.clone())));
        }
        all
    }
}
