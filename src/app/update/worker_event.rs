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
        update::user_action::PAUSE,
    },
    protocol::{ErrorScope, Event, Slot, Transfer},
};

impl State {
    pub(crate) fn on_worker_event(&mut self, kind: BackendKind, event: Event) -> Vec<Effect> {
        match event {
            Event::ModelLoaded { slot: Slot::Run, .. } => return self.on_run_model_loaded(),
            Event::ModelLoaded { slot, model } => {
                self.comparison.fetching.take_if(|source| source.slot() == slot);
                self.forget_transfers(slot);
                match self.model_wanted.filter(|source| source.slot() == slot) {
                    Some(source) => {
                        if self.slot() != Some(slot) {
                            self.swap_focus(source);
                        }
                        if let Source::Uploaded(n) = source {
                            self.uploaded_model = Some(n);
                        }
                        self.permalink.target = self.permalink.target.filter(|&class| class < model.classes.len());
                        (self.model, self.model_in_use) = (Some(model), Some(source));
                        self.left = None;
                    }
                    // What it makes of the image comes next.
                    None => {
                        self.comparison.loaded.insert(slot, ComparedModel::new(model));
                    }
                }
            }
            Event::ImageLoaded { image } => {
                if self.image.as_ref().is_none_or(|p| p.pixels != image.pixels) {
                    // The old image's attack says nothing about the new one.
                    self.forget_attack();
                    self.attack.phase = AttackPhase::Idle;
                    self.clean_probabilities.clear();
                    self.comparison.reset_results();
                    self.explorer = ExplorerCache::default();
                    self.reset_tracked_image();
                }
                let ask = self.on_crop_loaded(image.crop);
                self.image = Some(image);
                self.image_in_use = self.image_wanted;
                if let Some(Source::Uploaded(n)) = self.image_in_use {
                    self.uploaded_image = Some(n);
                }
                return ask;
            }
            Event::SourceImage { image: whole } => self.on_source_image(whole),
            Event::Classified { slot, probabilities } if self.slot() != Some(slot) => {
                if let Some(side) = self.comparison.loaded.get_mut(&slot) {
                    side.clean = probabilities;
                    side.attack = Attack::default();
                }
                return self.schedule_next();
            }
            Event::Classified { probabilities, .. } => {
                // Two backends differ in the last digits: what one found may stay in view while the other starts.
                let same = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
                if probabilities.len() != self.clean_probabilities.len()
                    || !probabilities.iter().zip(&self.clean_probabilities).all(same)
                {
                    self.forget_attack();
                }
                self.clean_probabilities = probabilities;
                // A square on its way starts no attack.
                return self.schedule_attack(if self.crop.is_some() { PAUSE } else { 0 });
            }
            Event::AttackProgress { id, done, total, result, traces } if id == self.attack.id => {
                // Settings may have changed since: then the next attack is due already.
                if self.attack.phase != AttackPhase::Scheduled {
                    self.attack.phase = AttackPhase::Running { done, total };
                }
                (self.attack.result, self.attack.traces) = (Some(result), traces);
            }
            Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer } => {
                let steps = traces.iter().map(|trace| trace.steps).sum();
                let side = self.comparison.attack(id);
                if let Some(attack) = if id == self.attack.id { Some(&mut self.attack) } else { side } {
                    if attack.phase != AttackPhase::Scheduled {
                        attack.phase = AttackPhase::Done { steps, milliseconds, stopped };
                    }
                    (attack.result, attack.traces) = (Some(result), traces);
                    (attack.flags, attack.transfer) = (flags, Vec::new());
                }
                for Transfer { source: under, evaluated_on: judge, probabilities } in transfer {
                    if let Some(attack) = self.attack_under(under) {
                        attack.transfer.retain(|(other, _)| *other != judge);
                        attack.transfer.push((judge, probabilities));
                    }
                }
                return self.schedule_next();
            }
            Event::EvaluationProgress { id, report, finished: over, stopped } => {
                if let Some(tasks) = self.on_run_evaluated(id, &report, over, stopped) {
                    return tasks;
                }
                let Some(many) = self.batch.as_mut().filter(|many| many.id == id) else { return self.schedule_next() };
                (many.report, many.running, many.stopped) = (Some(report), !over, stopped);
                return if over { self.resume_preempted_attack() } else { Vec::new() };
            }
            Event::ProbeProgress { id, result: answer, finished: over, .. } => {
                return self.on_probe_result(id, answer, over);
            }
            Event::ProbeCancelled { id } => return self.on_probe_cancelled(id),
            Event::Failed { scope: ErrorScope::Device, message: text } => return self.on_worker_crashed(kind, &text),
            Event::Failed { scope: subject, message: text } => return self.on_command_failed(subject, text),
            Event::Verified { checks, milliseconds } => {
                if let Some(check) = &mut self.backend_check {
                    (check.groups, check.milliseconds) = (checks, milliseconds);
                }
            }
            Event::ImageExported { name, png, probabilities, fools } => {
                // Once the next attack is due it says nothing about what is in view.
                self.saved_image = (!self.busy()).then(|| SavedImage { name: name.clone(), probabilities, fools });
                return vec![Effect::Download(name, png)];
            }
            Event::TrainingData { data } => return self.on_dataset_changed(data),
            Event::RunReady { run } => return self.on_run_ready(*run),
            Event::TrainProgress {
                id,
                step,
                records,
                snapshot: look,
                images_per_second: speed,
                memory,
                finished: over,
            } => {
                return self.on_train_progress((id, over), step, records, look, [speed, memory as f64]);
            }
            Event::RunExported { number, purpose, name, step, bytes } => {
                return self.on_run_exported((number, step), purpose, name, bytes);
            }
            Event::DeviceReady { .. } | Event::AttackProgress { .. } => {}
        }
        Vec::new()
    }

    /// Something could not be had: say why, go on with what there is.
    pub(crate) fn on_command_failed(&mut self, subject: ErrorScope, text: String) -> Vec<Effect> {
        let mut tasks = Vec::new();
        match subject {
            ErrorScope::Model | ErrorScope::Evaluation if self.training.run_evaluation.is_some() => {
                self.notice(text);
                return self.on_run_evaluation_failed();
            }
            ErrorScope::Export | ErrorScope::Training if self.training.awaits_run_model() => {
                self.notice(text);
                return self.on_run_evaluation_failed();
            }
            ErrorScope::Diverged => return self.on_diverged(text),
            ErrorScope::Model if self.model_wanted == self.model_in_use && self.comparison.on_fetch_failed() => {}
            ErrorScope::Model if self.left.is_some() => {
                self.notice(text);
                return self.return_to_previous_domain();
            }
            ErrorScope::Model => {
                self.model_wanted = self.model_in_use;
                if let Some(Source::Builtin(model)) = self.model_in_use {
                    self.permalink.model = model;
                }
            }
            ErrorScope::Image => {
                self.remove_unreadable_upload();
                self.image_wanted = self.image_in_use;
                if let Some(Source::Builtin(sample)) = self.image_in_use {
                    self.permalink.sample = sample;
                }
            }
            ErrorScope::Attack => match self.comparison.running() {
                Some(attack) => attack.phase = AttackPhase::Done { steps: 0, milliseconds: 0.0, stopped: false },
                None => self.attack.phase = AttackPhase::Idle,
            },
            ErrorScope::Evaluation => {
                self.batch = None;
                self.notice(text);
                return self.resume_preempted_attack();
            }
            ErrorScope::Fixture => self.backend_check = None,
            ErrorScope::Data => self.training.loading_dataset = None,
            ErrorScope::Training => tasks = self.on_training_failed(),
            ErrorScope::Device | ErrorScope::Export | ErrorScope::Reference => {}
        }
        self.notice(text);
        tasks.extend(self.schedule_next());
        tasks
    }
}
