//! Handles the actions of the user in the training section.

use crate::{
    app::{
        domain::{action::TrainingAction, effect::Effect},
        state::{State, run::RunPhase, training::PendingRun},
        update::training::{export, label},
    },
    protocol::Command,
    settings::Settings,
    train::TrainConfig,
};

impl State {
    pub(crate) fn on_training_action(&mut self, wish: TrainingAction) -> Vec<Effect> {
        match wish {
            TrainingAction::Set(key, value) => return self.set_training(key, value),
            TrainingAction::InitFrom(init_from) => self.permalink.init_from = init_from,
            TrainingAction::Start(number) => return self.prepare_run(PendingRun::Fresh(number)),
            TrainingAction::Resume => return self.set_run_phase(RunPhase::Running),
            TrainingAction::Step => return self.set_run_phase(RunPhase::SingleStep),
            TrainingAction::Pause => return self.set_run_phase(RunPhase::Paused),
            TrainingAction::Close => {
                let mut tasks = self.set_run_phase(RunPhase::Paused);
                tasks.extend(self.save_run());
                tasks.extend(self.training.archive_run());
                return tasks;
            }
            TrainingAction::Export(purpose) => {
                let run = self.training.run.as_ref();
                return run.map(|run| export(run.number, purpose)).into_iter().collect();
            }
            // The copy would wait for what else is computed; and the run does not move meanwhile.
            TrainingAction::SaveCopy if self.computes_otherwise() => {}
            TrainingAction::SaveCopy => return self.save_run(),
            TrainingAction::ResumeSaved(number) => return self.prepare_run(PendingRun::Copy(number, RunPhase::Paused)),
            TrainingAction::DeleteSaved(number) => {
                self.training.saved_runs.retain(|earlier| earlier.number != number);
                self.training.archived.retain(|run| run.number != number);
                return vec![Effect::DeleteSavedRun(number)];
            }
            TrainingAction::ResumeFile(..) if !self.can_prepare_run() => {
                self.notice("The page prepares something else: open the run's file again in a moment.".into());
            }
            TrainingAction::ResumeFile(file, number) => return self.prepare_run(PendingRun::File(file, number)),
            TrainingAction::UseDataset(_) if self.training.loading_dataset.is_some() => {
                self.notice("Another set is being read: open this one again in a moment.".into());
            }
            TrainingAction::UseDataset(file) => {
                // Chosen once more it is to be used, too.
                self.training.dataset_file.take_if(|used| *used == file);
                self.training.loading_dataset = Some(file);
                return self.load_dataset();
            }
            TrainingAction::DeleteDataset(name) => {
                self.training.saved_datasets.retain(|(kept, _)| *kept != name);
                return vec![Effect::DeleteDataset(name)];
            }
            TrainingAction::LabelImage(class) => {
                let labeled = self.image.as_ref().map(|image| (class, image.pixels.clone()));
                self.training.labeled.extend(labeled.clone());
                return labeled.map(label).into_iter().collect();
            }
            TrainingAction::ClearLabels => {
                self.training.labeled.clear();
                return vec![Effect::Send(Command::ClearLabeledImages)];
            }
            TrainingAction::EvaluateAll(images) => return self.evaluate_runs(images),
        }
        Vec::new()
    }

    fn set_training(&mut self, key: &'static str, value: String) -> Vec<Effect> {
        if let Err(error) = self.permalink.train.set(key, &value) {
            self.notice(error.to_string());
            return Vec::new();
        }
        if key == "dataset" {
            self.apply_dataset_defaults();
        }
        let awaited = matches!(self.training.pending, Some(PendingRun::Copy(..)));
        let Some(run) =
            self.training.run.as_mut().filter(|run| run.phase != RunPhase::Finished && TrainConfig::live(key))
        else {
            return Vec::new();
        };
        if awaited {
            // The worker may not have it yet: it is tuned as soon as it is there.
            let _ = run.config.set(key, &value);
            return Vec::new();
        }
        vec![Effect::Send(Command::UpdateSettings { settings: vec![(key.into(), value)] })]
    }

    /// Prepares a run in place of the one there is, of which a copy is kept.
    fn prepare_run(&mut self, coming: PendingRun) -> Vec<Effect> {
        if !self.can_prepare_run() {
            return Vec::new();
        }
        let mut tasks = self.save_run();
        tasks.push(self.request_run(coming, 0));
        tasks
    }

    /// With at most `batch` images a step, if it is a copy (0: as many as it had).
    pub(crate) fn request_run(&mut self, coming: PendingRun, batch: usize) -> Effect {
        self.training.pending = Some(coming);
        match coming {
            PendingRun::Fresh(_) => Effect::Send(Command::PrepareRun {
                init_from: self.permalink.init_from,
                settings: self.permalink.train.to_pairs(),
            }),
            PendingRun::Copy(number, _) => Effect::ResumeSavedRun(number, batch),
            PendingRun::File(file, _) => Effect::ResumeRunFile(file),
        }
    }

    fn set_run_phase(&mut self, phase: RunPhase) -> Vec<Effect> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != RunPhase::Finished) else {
            return Vec::new();
        };
        if run.diverged && phase != RunPhase::Paused {
            let copy = PendingRun::Copy(run.number, phase);
            return vec![self.request_run(copy, 0)];
        }
        let runs = run.active_command.is_some();
        run.phase = phase;
        match (phase, runs) {
            (RunPhase::Paused, true) => vec![Effect::Send(Command::Stop)],
            (RunPhase::Paused, false) | (_, true) => Vec::new(),
            (_, false) => self.continue_training(),
        }
    }
}
