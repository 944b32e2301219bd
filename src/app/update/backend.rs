//! Starts workers, replaces them and restarts them after a crash.

use crate::{
    app::{
        domain::{
            backend::{BackendKind, BackendPreference, GpuAdapter},
            effect::Effect,
        },
        state::{State, attack::AttackPhase},
    },
    protocol::Event,
};

/// A worker that dies more often than this is not started again.
pub const RESTARTS: u32 = 3;

impl State {
    pub(crate) fn start_worker(&mut self, kind: BackendKind) -> Vec<Effect> {
        let current = self.backend.current.as_ref().map(|(kind, _)| *kind);
        let discard = self
            .backend
            .starting
            .take_if(|coming| *coming != kind || current == Some(kind))
            .map(|_| Effect::DropStartingWorker);
        let mut tasks = Vec::new();
        let start = current != Some(kind) && self.backend.starting != Some(kind);
        if start {
            // While it starts: it takes the run up from the copy.
            tasks = self.save_run();
            self.backend.starting = Some(kind);
        }
        tasks.extend(discard);
        tasks.extend(start.then_some(Effect::StartWorker(kind)));
        tasks
    }

    /// A real GPU takes over from the CPU, once that is at work: something is to be seen meanwhile.
    pub(crate) fn prefer_gpu(&mut self) -> Vec<Effect> {
        let real = self.backend.adapter.as_ref().is_some_and(GpuAdapter::is_real) && self.backend.gpu_failure.is_none();
        let wanted = real && self.permalink.backend == BackendPreference::Auto && self.backend.current.is_some();
        if wanted { self.start_worker(BackendKind::Gpu) } else { Vec::new() }
    }

    pub(crate) fn on_starting_worker_event(&mut self, kind: BackendKind, event: Event) -> Vec<Effect> {
        match event {
            Event::DeviceReady { name, .. } => {
                self.backend.starting = None;
                self.backend.current = Some((kind, name));
                self.abort_batch();
                self.comparison.reset();
                self.cancel_probe();
                let mut tasks = vec![Effect::ActivateWorker];
                tasks.extend(self.load_reference());
                tasks.extend(self.load_image());
                tasks.extend(self.load_model());
                tasks.extend(self.load_fixture());
                tasks.extend(self.restore_training());
                tasks.extend(self.prefer_gpu());
                tasks
            }
            Event::Failed { message: text, .. } => self.on_worker_crashed(kind, &text),
            _ => Vec::new(),
        }
    }

    /// A worker is gone. A GPU that fails to start is given up; what worked once is tried again.
    pub(crate) fn on_worker_crashed(&mut self, kind: BackendKind, why: &str) -> Vec<Effect> {
        let was_coming = self.backend.starting.take_if(|coming| *coming == kind).is_some();
        let mut tasks = Vec::new();
        if was_coming {
            tasks.push(Effect::DropStartingWorker);
        } else {
            tasks.push(Effect::StopWorker);
            self.backend.current = None;
            self.attack.phase = AttackPhase::Idle;
            self.comparison.reset();
            self.cancel_probe();
            self.abort_batch();
            self.training_crashed();
            // Whatever was on its way may have been the cause.
            self.backend_check = None;
            self.model_wanted = self.model_in_use.or(self.model_wanted);
            self.image_wanted = self.image_in_use.or(self.image_wanted);
        }
        self.backend.crashes += 1;
        self.backend.cpu_crashed |= kind == BackendKind::Cpu;
        let next = match kind {
            BackendKind::Gpu if was_coming || self.backend.crashes > RESTARTS => {
                self.backend.gpu_failure = Some(why.to_owned());
                self.notice(format!("WebGPU failed ({why}). The CPU goes on."));
                Some(BackendKind::Cpu)
            }
            _ if self.backend.crashes > RESTARTS => {
                self.notice(format!("The computation failed again ({why}). Reload the page to try once more."));
                None
            }
            _ => {
                self.notice(format!(
                    "The computation failed ({why}). It was started again with the same model and image."
                ));
                Some(kind)
            }
        };
        tasks.extend(next.into_iter().flat_map(|kind| self.start_worker(kind)));
        tasks
    }

    /// Replaces a worker whose threads did not start in time by one without threads.
    pub(crate) fn on_threads_not_started(&mut self, kind: BackendKind) -> Vec<Effect> {
        if self.backend.starting.take_if(|starting| *starting == kind).is_none() {
            return Vec::new();
        }
        self.backend.cpu_crashed = true;
        self.notice(
            "The threads of the computation did not start in time. It continues with one thread, which is slower. \
             Reload the page to try again with more."
                .into(),
        );
        let mut effects = vec![Effect::DropStartingWorker];
        effects.extend(self.start_worker(kind));
        effects
    }

    /// Takes the user's word on who shall compute.
    pub(crate) fn set_backend_preference(&mut self, wish: BackendPreference) -> Vec<Effect> {
        self.permalink.backend = wish;
        (self.backend.crashes, self.backend.cpu_crashed) = (0, false);
        self.backend.gpu_failure = None;
        match wish {
            BackendPreference::Cpu => self.start_worker(BackendKind::Cpu),
            BackendPreference::Gpu => self.start_worker(BackendKind::Gpu),
            BackendPreference::Auto if self.backend.adapter.as_ref().is_some_and(GpuAdapter::is_real) => {
                self.start_worker(BackendKind::Gpu)
            }
            BackendPreference::Auto => self.start_worker(BackendKind::Cpu),
        }
    }
}
