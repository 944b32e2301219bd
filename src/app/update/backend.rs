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

/// Number of crashes after which a worker is not started again.
pub const MAX_RESTARTS: u32 = 3;

impl State {
    /// Starts a worker unless it is the current one or already starting. Another worker that is starting is dropped.
    pub(crate) fn start_worker(&mut self, kind: BackendKind) -> Vec<Effect> {
        let is_current = self.backend.current.as_ref().is_some_and(|(current, _)| *current == kind);
        let dropped = self.backend.starting.take_if(|starting| *starting != kind || is_current);
        let is_needed = !is_current && self.backend.starting != Some(kind);
        let mut effects = Vec::new();
        if is_needed {
            // The new worker resumes the run from this copy.
            effects.extend(self.save_run());
            self.backend.starting = Some(kind);
        }
        if dropped.is_some() {
            effects.push(Effect::DropStartingWorker);
        }
        if is_needed {
            effects.push(Effect::StartWorker(kind));
        }
        effects
    }

    fn has_real_gpu(&self) -> bool {
        self.backend.adapter.as_ref().is_some_and(GpuAdapter::is_real)
    }

    /// Switches to a hardware GPU once the CPU worker is ready, so that the first result is not delayed.
    pub(crate) fn prefer_gpu(&mut self) -> Vec<Effect> {
        let is_usable = self.has_real_gpu() && self.backend.gpu_failure.is_none();
        let is_wanted = self.permalink.backend == BackendPreference::Auto && self.backend.current.is_some();
        if is_usable && is_wanted { self.start_worker(BackendKind::Gpu) } else { Vec::new() }
    }

    /// Activates the worker once its device is ready. It starts without models, images and data.
    pub(crate) fn on_starting_worker_event(&mut self, kind: BackendKind, event: Event) -> Vec<Effect> {
        match event {
            Event::DeviceReady { name, .. } => {
                self.backend.starting = None;
                self.backend.current = Some((kind, name));
                self.abort_batch();
                self.comparison.reset();
                self.cancel_probe();
                let mut effects = vec![Effect::ActivateWorker];
                effects.extend(self.load_reference_images());
                effects.extend(self.load_image());
                effects.extend(self.load_model());
                effects.extend(self.load_fixture());
                effects.extend(self.restore_training());
                effects.extend(self.prefer_gpu());
                effects
            }
            Event::Failed { message, .. } => self.on_worker_crashed(kind, &message),
            _ => Vec::new(),
        }
    }

    /// Restarts a worker that crashed. WebGPU is given up if it crashes while starting.
    pub(crate) fn on_worker_crashed(&mut self, kind: BackendKind, reason: &str) -> Vec<Effect> {
        let was_starting = self.backend.starting.take_if(|starting| *starting == kind).is_some();
        let mut effects = Vec::new();
        if was_starting {
            effects.push(Effect::DropStartingWorker);
        } else {
            effects.push(Effect::StopWorker);
            self.reset_after_crash();
        }
        self.backend.crashes += 1;
        self.backend.cpu_crashed |= kind == BackendKind::Cpu;
        let crashed_too_often = self.backend.crashes > MAX_RESTARTS;
        if kind == BackendKind::Gpu && (was_starting || crashed_too_often) {
            self.backend.gpu_failure = Some(reason.to_owned());
            self.notify(format!("WebGPU failed ({reason}). The page continues on the CPU."));
            effects.extend(self.start_worker(BackendKind::Cpu));
        } else if crashed_too_often {
            self.notify(format!("The computation failed again ({reason}). Reload the page to try again."));
        } else {
            self.notify(format!("The computation failed ({reason}). It was restarted with the same model and image."));
            effects.extend(self.start_worker(kind));
        }
        effects
    }

    /// Resets everything that the current worker held. What was loading may have caused the crash, so it is not tried again.
    fn reset_after_crash(&mut self) {
        self.backend.current = None;
        self.attack.phase = AttackPhase::Idle;
        self.comparison.reset();
        self.cancel_probe();
        self.abort_batch();
        self.on_training_worker_crashed();
        self.backend_check = None;
        self.requested_model = self.model_source.or(self.requested_model);
        self.requested_image = self.image_source.or(self.requested_image);
    }

    /// Replaces a worker whose threads did not start in time by one without threads.
    pub(crate) fn on_threads_not_started(&mut self, kind: BackendKind) -> Vec<Effect> {
        if self.backend.starting.take_if(|starting| *starting == kind).is_none() {
            return Vec::new();
        }
        self.backend.cpu_crashed = true;
        self.notify(
            "The threads of the computation did not start in time. It continues with one thread, which is slower. \
             Reload the page to try again with more."
                .into(),
        );
        let mut effects = vec![Effect::DropStartingWorker];
        effects.extend(self.start_worker(kind));
        effects
    }

    /// Applies the user's choice of the backend.
    pub(crate) fn set_backend_preference(&mut self, preference: BackendPreference) -> Vec<Effect> {
        self.permalink.backend = preference;
        (self.backend.crashes, self.backend.cpu_crashed) = (0, false);
        self.backend.gpu_failure = None;
        match preference {
            BackendPreference::Cpu => self.start_worker(BackendKind::Cpu),
            BackendPreference::Gpu => self.start_worker(BackendKind::Gpu),
            BackendPreference::Auto if self.has_real_gpu() => self.start_worker(BackendKind::Gpu),
            BackendPreference::Auto => self.start_worker(BackendKind::Cpu),
        }
    }
}
