//! The views of representations: which one is open, what has been asked of the worker for it, what came. Part of the fold in
//! `state`.

use std::collections::BTreeMap;

use super::{
    message::Effect,
    state::{AttackPhase, State},
};
use crate::{
    explore::probe::{Probe, ProbeResult},
    protocol::{Command, Slot},
};

/// What the page shows of representations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplorerView {
    #[default]
    Layers,
    Embedding,
    Transport,
    Jacobian,
    Landscape,
}

impl ExplorerView {
    pub const ALL: [Self; 5] = [Self::Layers, Self::Embedding, Self::Transport, Self::Jacobian, Self::Landscape];

    /// Its name in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Embedding => "embedding",
            Self::Transport => "transport",
            Self::Jacobian => "jacobian",
            Self::Landscape => "landscape",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Layers => "Layer by layer",
            Self::Embedding => "Embedding",
            Self::Transport => "Transport",
            Self::Jacobian => "Jacobian",
            Self::Landscape => "Loss landscape",
        }
    }

    /// What it needs to know, the quickest first; `layer` is the one looked into.
    fn probes(self, layer: &str) -> Vec<Probe> {
        match self {
            Self::Layers if layer.is_empty() => vec![Probe::Layers],
            Self::Layers => vec![Probe::Layers, Probe::ChannelMaps(layer.into())],
            Self::Embedding => vec![Probe::Embedding],
            Self::Transport => vec![Probe::Transport],
            Self::Jacobian => vec![Probe::Jacobian],
            Self::Landscape => vec![Probe::MarginCurve, Probe::Landscape],
        }
    }
}

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAnswer {
    /// The number of the attack that it is about: stale when there is a later one.
    pub attack: u64,
    pub answer: Result<ProbeResult, String>,
}

/// What is being asked.
#[derive(Clone, Debug, PartialEq)]
struct PendingProbe {
    /// Its number.
    id: u64,
    about: (Slot, Probe),
    /// The number of the attack that it is about.
    attack: u64,
}

/// What is known for the views.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplorerCache {
    pub known: BTreeMap<(Slot, Probe), CachedAnswer>,
    asked: Option<PendingProbe>,
}

impl ExplorerCache {
    pub fn busy(&self) -> bool {
        self.asked.is_some()
    }
}

impl State {
    /// The answer about a model, even of an attack before the last one.
    pub fn known(&self, slot: Slot, probe: &Probe) -> Option<&CachedAnswer> {
        self.explored.known.get(&(slot, probe.clone()))
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
        let probes = self.link.view.map(|view| view.probes(&self.link.layer)).unwrap_or_default();
        // A layer was perhaps chosen in another network.
        let has = |slot, layer: &String| match self.known(slot, &Probe::Layers).map(|known| &known.answer) {
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

    /// The next probe that the open view needs answered, if every attack that it compares is over.
    pub(super) fn ask(&mut self) -> Vec<Effect> {
        if self.explored.busy() {
            return Vec::new();
        }
        let due = |(slot, attack, probe): &(Slot, u64, Probe)| {
            self.known(*slot, probe).is_none_or(|known| known.attack != *attack)
        };
        let Some((slot, attack, probe)) = self.probes().into_iter().find(due) else {
            return Vec::new();
        };
        self.last_id += 1;
        self.explored.asked = Some(PendingProbe { id: self.last_id, about: (slot, probe.clone()), attack });
        vec![Effect::Send(Command::Explore { id: self.last_id, slot, probe })]
    }

    /// Takes an answer, or the first part of one.
    pub(super) fn on_probe_result(
        &mut self,
        id: u64,
        answer: Result<Box<ProbeResult>, String>,
        over: bool,
    ) -> Vec<Effect> {
        let Some(PendingProbe { about, attack, .. }) = self.explored.asked.clone().filter(|asked| asked.id == id)
        else {
            return Vec::new();
        };
        if over {
            self.explored.asked = None;
        }
        self.explored.known.insert(about, CachedAnswer { attack, answer: answer.map(|answer| *answer) });
        self.schedule_next()
    }

    /// What was asked was given up for something that is done by now: it may be asked again.
    pub(super) fn on_probe_cancelled(&mut self, id: u64) -> Vec<Effect> {
        if self.explored.asked.as_ref().is_some_and(|asked| asked.id == id) {
            self.cancel_probe();
        }
        self.schedule_next()
    }

    /// What was asked will not be answered to the end: the worker has something else to do, or is gone.
    pub(super) fn cancel_probe(&mut self) {
        if let Some(PendingProbe { about, attack, .. }) = self.explored.asked.take()
            && self.explored.known.get(&about).is_some_and(|known| known.attack == attack)
        {
            // The first part of an answer.
            self.explored.known.remove(&about);
        }
    }
}
