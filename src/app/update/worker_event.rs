//! Handles the events of the current worker.

use crate::{
    app::{
        domain::{backend::BackendKind, effect::Effect, source::Source},
        state::{
            State,
            attack::{Attack, AttackPhase, SavedImage},
            comparison::ComparedModel,
            explorer::ExplorerCache,
        },
        update::{
            attack::{ATTACK_DELAY, CompletedAttack},
            training::worker_events::{ExportedRun, TrainProgress},
        },
    },
    protocol::{ErrorScope, Event, ImageInfo, ModelInfo, Slot},
};

/// Two backends may differ by this much in a probability. The results of one stay valid while another starts.
const PROBABILITY_TOLERANCE: f32 = 1e-3;

impl State {
    pub(crate) fn on_worker_event(&mut self, kind: BackendKind, event: Event) -> Vec<Effect> {
        match event {
            Event::ModelLoaded { slot: Slot::Run, .. } => self.on_run_model_loaded(),
            Event::ModelLoaded { slot, model } => {
                self.on_model_loaded(slot, model);
                Vec::new()
            }
            Event::ImageLoaded { image } => self.on_image_loaded(image),
            Event::SourceImage { image } => {
                self.on_source_image(image);
                Vec::new()
            }
            Event::Classified { slot, probabilities } => self.on_classified(slot, probabilities),
            Event::AttackProgress { id, done, total, result, traces } => {
                if id == self.attack.id {
                    self.on_attack_progress(AttackPhase::Running { done, total }, result, traces);
                }
                Vec::new()
            }
            Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer } => {
                let attack = CompletedAttack { id, stopped, milliseconds, result, traces, flags, transfer };
                self.on_attack_done(attack)
            }
            Event::EvaluationProgress { id, report, finished, stopped } => {
                self.on_evaluation_progress(id, report, finished, stopped)
            }
            Event::ProbeProgress { id, result, finished, .. } => self.on_probe_progress(id, result, finished),
            Event::ProbeCancelled { id } => self.on_probe_cancelled(id),
            Event::Failed { scope: ErrorScope::Device, message } => self.on_worker_crashed(kind, &message),
            Event::Failed { scope, message } => self.on_command_failed(scope, message),
            Event::Verified { checks, milliseconds } => {
                if let Some(check) = &mut self.backend_check {
                    (check.groups, check.milliseconds) = (checks, milliseconds);
                }
                Vec::new()
            }
            Event::ImageExported { name, png, probabilities, fools } => {
                // If an attack is active, the exported image is no longer the displayed one.
                if self.is_attacking() {
                    self.saved_image = None;
                } else {
                    self.saved_image = Some(SavedImage { name: name.clone(), probabilities, fools });
                }
                vec![Effect::Download(name, png)]
            }
            Event::TrainingData { data } => self.on_training_data(data),
            Event::RunReady { run } => self.on_run_ready(*run),
            Event::TrainProgress { id, step, records, snapshot, images_per_second, memory, finished } => {
                let progress = TrainProgress { id, step, records, snapshot, images_per_second, memory, finished };
                self.on_train_progress(progress)
            }
            Event::RunExported { number, purpose, name, step, bytes } => {
                self.on_run_exported(ExportedRun { number, purpose, name, step, bytes })
            }
            Event::DeviceReady { .. } => Vec::new(),
        }
    }

    /// Focuses on the requested model, or adds a model to the comparison. The worker classifies the image next.
    fn on_model_loaded(&mut self, slot: Slot, model: ModelInfo) {
        self.comparison.fetching.take_if(|source| source.slot() == slot);
        self.remove_transfers_to(slot);
        let Some(source) = self.requested_model.filter(|source| source.slot() == slot) else {
            self.comparison.loaded.insert(slot, ComparedModel::new(model));
            return;
        };
        if self.slot() != Some(slot) {
            self.swap_focus(source);
        }
        if let Source::Uploaded(file) = source {
            self.uploaded_model = Some(file);
        }
        self.permalink.target = self.permalink.target.filter(|&class| class < model.classes.len());
        (self.model, self.model_source) = (Some(model), Some(source));
        self.previous_domain = None;
    }

    fn on_image_loaded(&mut self, image: ImageInfo) -> Vec<Effect> {
        if self.image.as_ref().is_none_or(|current| current.pixels != image.pixels) {
            self.reset_attack();
            self.attack.phase = AttackPhase::Idle;
            self.clean_probabilities.clear();
            self.comparison.reset_results();
            self.explorer = ExplorerCache::default();
            self.reset_tracked_image();
        }
        let effects = self.on_crop_loaded(image.crop);
        self.image = Some(image);
        self.image_source = self.requested_image;
        if let Some(Source::Uploaded(file)) = self.image_source {
            self.uploaded_image = Some(file);
        }
        effects
    }

    fn on_classified(&mut self, slot: Slot, probabilities: Vec<f32>) -> Vec<Effect> {
        if self.slot() != Some(slot) {
            if let Some(compared) = self.comparison.loaded.get_mut(&slot) {
                compared.clean_probabilities = probabilities;
                compared.attack = Attack::default();
            }
            return self.schedule_next();
        }
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < PROBABILITY_TOLERANCE;
        let current = &self.clean_probabilities;
        if probabilities.len() != current.len() || !probabilities.iter().zip(current).all(is_close) {
            self.reset_attack();
        }
        self.clean_probabilities = probabilities;
        // The user may still be moving the crop.
        self.schedule_attack(if self.crop.is_some() { ATTACK_DELAY } else { 0 })
    }

    /// Notifies the user and continues without what failed.
    pub(crate) fn on_command_failed(&mut self, scope: ErrorScope, message: String) -> Vec<Effect> {
        let concerns_run_evaluation = match scope {
            ErrorScope::Model | ErrorScope::Evaluation => self.training.run_evaluation.is_some(),
            ErrorScope::Export | ErrorScope::Training => self.training.awaits_run_model(),
            _ => false,
        };
        if scope == ErrorScope::Diverged {
            return self.on_diverged(message);
        }
        self.notify(message);
        if concerns_run_evaluation {
            return self.on_run_evaluation_failed();
        }
        let mut effects = Vec::new();
        match scope {
            ErrorScope::Model => {
                if let Some(effects) = self.on_model_failed() {
                    return effects;
                }
            }
            ErrorScope::Image => self.on_image_failed(),
            ErrorScope::Attack => match self.comparison.running_attack_mut() {
                Some(attack) => attack.phase = AttackPhase::Done { steps: 0, milliseconds: 0.0, stopped: false },
                None => self.attack.phase = AttackPhase::Idle,
            },
            ErrorScope::Evaluation => {
                self.batch = None;
                return self.resume_preempted_attack();
            }
            ErrorScope::Fixture => self.backend_check = None,
            ErrorScope::Data => self.training.loading_dataset = None,
            ErrorScope::Training => effects = self.on_training_failed(),
            ErrorScope::Device | ErrorScope::Export | ErrorScope::Reference | ErrorScope::Diverged => {}
        }
        effects.extend(self.schedule_next());
        effects
    }

    /// Restores the model in focus. Returns the effects if the image domain is restored, too.
    fn on_model_failed(&mut self) -> Option<Vec<Effect>> {
        let is_background_fetch = self.requested_model == self.model_source && self.comparison.on_fetch_failed();
        if is_background_fetch {
            return None;
        }
        if self.previous_domain.is_some() {
            return Some(self.return_to_previous_domain());
        }
        self.requested_model = self.model_source;
        if let Some(Source::Builtin(model)) = self.model_source {
            self.permalink.model = model;
        }
        None
    }

    /// Restores the current image.
    fn on_image_failed(&mut self) {
        self.remove_unreadable_upload();
        self.requested_image = self.image_source;
        if let Some(Source::Builtin(sample)) = self.image_source {
            self.permalink.sample = sample;
        }
    }
}
