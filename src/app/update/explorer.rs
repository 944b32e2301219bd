//! Sends probes to the worker and stores their results.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            explorer::{CachedAnswer, PendingProbe, ProbeRequest},
        },
    },
    explore::probe::ProbeResult,
    protocol::Command,
};

impl State {
    /// Sends the most urgent probe whose answer is missing or stale.
    pub(crate) fn send_next_probe(&mut self) -> Vec<Effect> {
        if self.explorer.is_busy() {
            return Vec::new();
        }
        let is_missing = |request: &ProbeRequest| {
            let cached = self.cached_answer(request.slot, &request.probe);
            cached.is_none_or(|cached| cached.attack != request.attack)
        };
        let Some(request) = self.required_probes().into_iter().find(is_missing) else {
            return Vec::new();
        };
        let id = self.next_id();
        let (slot, probe) = (request.slot, request.probe.clone());
        self.explorer.pending = Some(PendingProbe { id, request });
        vec![Effect::Send(Command::Explore { id, slot, probe })]
    }

    /// Stores a result. It is partial unless the probe is finished.
    pub(crate) fn on_probe_progress(
        &mut self,
        id: u64,
        result: Result<Box<ProbeResult>, String>,
        finished: bool,
    ) -> Vec<Effect> {
        let Some(pending) = self.explorer.pending.as_ref().filter(|pending| pending.id == id) else {
            return Vec::new();
        };
        let ProbeRequest { slot, attack, probe } = pending.request.clone();
        if finished {
            self.explorer.pending = None;
        }
        let answer = result.map(|result| *result);
        self.explorer.answers.insert((slot, probe), CachedAnswer { attack, answer });
        self.schedule_next()
    }

    /// A job with priority cancelled the probe. It is sent again if it is still needed.
    pub(crate) fn on_probe_cancelled(&mut self, id: u64) -> Vec<Effect> {
        if self.explorer.pending.as_ref().is_some_and(|pending| pending.id == id) {
            self.cancel_probe();
        }
        self.schedule_next()
    }

    /// Forgets the pending probe and its partial result, because the worker will not finish it.
    pub(crate) fn cancel_probe(&mut self) {
        let Some(PendingProbe { request, .. }) = self.explorer.pending.take() else { return };
        let key = (request.slot, request.probe);
        if self.explorer.answers.get(&key).is_some_and(|partial| partial.attack == request.attack) {
            self.explorer.answers.remove(&key);
        }
    }
}
