//! Handles the actions of the user in the training section.

use crate::{
    app::{
        domain::{action::TrainingAction, effect::Effect},
        state::{State, run::RunPhase, training::PendingRun},
        update::training::{add_labeled_image, export_run},
    },
    protocol::Command,
    settings::Settings,
    train::TrainConfig,
};

impl State {
    pub(crate) fn on_training_action(&mut self, action: TrainingAction) -> Vec<Effect> {
        match action {
            TrainingAction::Set(key, value) => self.set_training_setting(key, value),
            TrainingAction::InitFrom(init_from) => {
                self.permalink.init_from = init_from;
                Vec::new()
            }
            TrainingAction::Start(number) => self.prepare_run(PendingRun::Fresh(number)),
            TrainingAction::Resume => self.set_run_phase(RunPhase::Running),
            TrainingAction::Step => self.set_run_phase(RunPhase::SingleStep),
            TrainingAction::Pause => self.set_run_phase(RunPhase::Paused),
            TrainingAction::Close => self.close_run(),
            TrainingAction::Export(purpose) => {
                let run = self.training.run.as_ref();
                run.map(|run| export_run(run.number, purpose)).into_iter().collect()
            }
            // The export would wait for the foreground job, and the run does not progress until that ends.
            TrainingAction::SaveCopy if self.has_foreground_job() => Vec::new(),
            TrainingAction::SaveCopy => self.save_run(),
            TrainingAction::ResumeSaved(number) => self.prepare_run(PendingRun::Copy(number, RunPhase::Paused)),
            TrainingAction::DeleteSaved(number) => {
                self.training.saved_runs.retain(|saved| saved.number != number);
                self.training.archived.retain(|run| run.number != number);
                vec![Effect::DeleteSavedRun(number)]
            }
            TrainingAction::ResumeFile(file, number) => self.resume_file(file, number),
            TrainingAction::UseDataset(file) => self.use_dataset(file),
            TrainingAction::DeleteDataset(name) => {
                self.training.saved_datasets.retain(|(saved, _)| *saved != name);
                vec![Effect::DeleteDataset(name)]
            }
            TrainingAction::LabelImage(class) => self.label_image(class),
            TrainingAction::ClearLabels => {
                self.training.labeled.clear();
                vec![Effect::Send(Command::ClearLabeledImages)]
            }
            TrainingAction::EvaluateAll(images) => self.evaluate_runs(images),
        }
    }

    fn set_training_setting(&mut self, key: &'static str, value: String) -> Vec<Effect> {
        if let Err(error) = self.permalink.train.set(key, &value) {
            self.notify(error.to_string());
            return Vec::new();
        }
        if key == "dataset" {
            self.apply_dataset_defaults();
        }
        let is_restoring = matches!(self.training.pending, Some(PendingRun::Copy(..)));
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != RunPhase::Finished) else {
            return Vec::new();
        };
        if !TrainConfig::live(key) {
            return Vec::new();
        }
        if is_restoring {
            // The worker may not have the run yet. It gets the changed settings when the run is ready.
            let _ = run.config.set(key, &value);
            return Vec::new();
        }
        vec![Effect::Send(Command::UpdateSettings { settings: vec![(key.into(), value)] })]
    }

    /// Closes the run. It is stored and stays in the table of runs.
    fn close_run(&mut self) -> Vec<Effect> {
        let mut effects = self.set_run_phase(RunPhase::Paused);
        effects.extend(self.save_run());
        effects.extend(self.training.archive_run());
        effects
    }

    fn resume_file(&mut self, file: usize, number: u64) -> Vec<Effect> {
        if !self.can_prepare_run() {
            self.notify("Another run or data set is loading. Open the file again in a moment.".into());
            return Vec::new();
        }
        self.prepare_run(PendingRun::File(file, number))
    }

    fn use_dataset(&mut self, file: usize) -> Vec<Effect> {
        if self.training.loading_dataset.is_some() {
            self.notify("Another data set is loading. Open this one again in a moment.".into());
            return Vec::new();
        }
        // If the worker already has the data set, the settings are still changed to it.
        self.training.dataset_file.take_if(|current| *current == file);
        self.training.loading_dataset = Some(file);
        self.load_dataset()
    }

    fn label_image(&mut self, class: String) -> Vec<Effect> {
        let Some(image) = &self.image else { return Vec::new() };
        let pixels = image.pixels.clone();
        self.training.labeled.push((class.clone(), pixels.clone()));
        vec![add_labeled_image(class, pixels)]
    }

    /// Prepares a run that replaces the current one, which is stored first.
    fn prepare_run(&mut self, pending: PendingRun) -> Vec<Effect> {
        if !self.can_prepare_run() {
            return Vec::new();
        }
        let mut effects = self.save_run();
        effects.push(self.request_run(pending, 0));
        effects
    }

    /// Requests a run from the worker. `max_batch` limits the batch size of a stored copy (0: unchanged).
    pub(crate) fn request_run(&mut self, pending: PendingRun, max_batch: usize) -> Effect {
        self.training.pending = Some(pending);
        match pending {
            PendingRun::Fresh(_) => Effect::Send(Command::PrepareRun {
                init_from: self.permalink.init_from,
                settings: self.permalink.train.to_pairs(),
            }),
            PendingRun::Copy(number, _) => Effect::ResumeSavedRun(number, max_batch),
            PendingRun::File(file, _) => Effect::ResumeRunFile(file),
        }
    }

    /// Resumes, pauses or steps the run. A diverged run is resumed from its last copy.
    fn set_run_phase(&mut self, phase: RunPhase) -> Vec<Effect> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != RunPhase::Finished) else {
            return Vec::new();
        };
        if run.diverged && phase != RunPhase::Paused {
            let copy = PendingRun::Copy(run.number, phase);
            return vec![self.request_run(copy, 0)];
        }
        run.phase = phase;
        let is_training = run.active_command.is_some();
        match (phase, is_training) {
            (RunPhase::Paused, true) => vec![Effect::Send(Command::Stop)],
            (RunPhase::Paused, false) | (_, true) => Vec::new(),
            (_, false) => self.continue_training(),
        }
    }
}
