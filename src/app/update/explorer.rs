//! Sends probes to the worker and stores their results.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            explorer::{CachedAnswer, PendingProbe},
        },
    },
    explore::probe::{Probe, ProbeResult},
    protocol::{Command, Slot},
};

impl State {
    /// The next probe that the open view needs answered, if every attack that it compares is over.
    pub(crate) fn send_next_probe(&mut self) -> Vec<Effect> {
        if self.explorer.busy() {
            return Vec::new();
        }
        let due = |(slot, attack, probe): &(Slot, u64, Probe)| {
            self.cached_answer(*slot, probe).is_none_or(|known| known.attack != *attack)
        };
        let Some((slot, attack, probe)) = self.probes().into_iter().find(due) else {
            return Vec::new();
        };
        self.last_id += 1;
        self.explorer.pending = Some(PendingProbe { id: self.last_id, key: (slot, probe.clone()), attack });
        vec![Effect::Send(Command::Explore { id: self.last_id, slot, probe })]
    }

    /// Takes an answer, or the first part of one.
    pub(crate) fn on_probe_result(
        &mut self,
        id: u64,
        answer: Result<Box<ProbeResult>, String>,
        over: bool,
    ) -> Vec<Effect> {
        let Some(PendingProbe { key, attack, .. }) = self.explorer.pending.clone().filter(|asked| asked.id == id)
        else {
            return Vec::new();
        };
        if over {
            self.explorer.pending = None;
        }
        self.explorer.answers.insert(key, CachedAnswer { attack, answer: answer.map(|answer| *answer) });
        self.schedule_next()
    }

    /// What was asked was given up for something that is done by now: it may be asked again.
    pub(crate) fn on_probe_cancelled(&mut self, id: u64) -> Vec<Effect> {
        if self.explorer.pending.as_ref().is_some_and(|asked| asked.id == id) {
            self.cancel_probe();
        }
        self.schedule_next()
    }

    /// What was asked will not be answered to the end: the worker has something else to do, or is gone.
    pub(crate) fn cancel_probe(&mut self) {
        if let Some(PendingProbe { key, attack, .. }) = self.explorer.pending.take()
            && self.explorer.answers.get(&key).is_some_and(|known| known.attack == attack)
        {
            // The first part of an answer.
            self.explorer.answers.remove(&key);
        }
    }
}
