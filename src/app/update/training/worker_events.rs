//! Handles the events of the worker about training.

use crate::{
    app::{
        domain::effect::{Effect, RunCopy},
        state::{
            State,
            run::{AccuracyPoint, Run, RunPhase},
            training::PendingRun,
        },
        update::training::restore::RestoredRun,
    },
    protocol::{ExportPurpose, RunInfo, RunSnapshot, TrainingDataInfo},
    settings::Settings,
    train::Record,
};

/// The progress of the current run.
pub(crate) struct TrainProgress {
    /// The id of the training command.
    pub(crate) id: u64,
    /// Number of completed steps.
    pub(crate) step: u64,
    /// The records since the last event.
    pub(crate) records: Vec<Record>,
    pub(crate) snapshot: Option<Box<RunSnapshot>>,
    pub(crate) images_per_second: f64,
    /// In bytes.
    pub(crate) memory: u64,
    /// Whether the command has ended.
    pub(crate) finished: bool,
}

/// A run or its model that the worker has exported.
pub(crate) struct ExportedRun {
    /// The number of the run.
    pub(crate) number: u64,
    pub(crate) purpose: ExportPurpose,
    /// The file name.
    pub(crate) name: String,
    /// Number of completed steps.
    pub(crate) step: u64,
    /// The content of the file.
    pub(crate) bytes: Vec<u8>,
}

impl State {
    /// Stores a description of the training data, after a data set was loaded or an image was labeled.
    pub(crate) fn on_training_data(&mut self, data: TrainingDataInfo) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_dataset_loaded = data.labeled == self.training.data.labeled;
        if is_dataset_loaded
            && let Some(dataset) = &data.uploaded
            && let Some(file) = self.training.loading_dataset.take()
            // If a new worker has loaded the same data set again, the settings stay unchanged.
            && self.training.dataset_file.replace(file) != Some(file)
        {
            let previous = self.permalink.train.dataset;
            if self.permalink.train.set("dataset", &dataset.kind).is_ok() && self.permalink.train.dataset != previous {
                self.apply_dataset_defaults();
            }
            if !self.training.saved_datasets.iter().any(|(_, saved)| *saved == file) {
                effects.push(Effect::SaveDataset(file));
            }
        }
        self.training.data = data;
        effects.extend(self.schedule_next());
        effects
    }

    /// Makes the run that the worker has prepared the current one. Without a pending run, its settings have changed.
    pub(crate) fn on_run_ready(&mut self, info: RunInfo) -> Vec<Effect> {
        let training = &mut self.training;
        let mut effects = match training.pending.take() {
            Some(PendingRun::Fresh(number)) => {
                let effects = training.archive_run();
                training.run = Some(Run { phase: RunPhase::Running, ..Run::new(number, info) });
                effects
            }
            Some(PendingRun::Copy(number, phase)) => {
                self.on_run_restored(RestoredRun { number, phase, is_stored: true, info })
            }
            Some(PendingRun::File(_, number)) => {
                self.on_run_restored(RestoredRun { number, phase: RunPhase::Paused, is_stored: false, info })
            }
            None => {
                if let Some(run) = &mut training.run {
                    run.set_info(info);
                }
                return self.schedule_next();
            }
        };
        effects.extend(self.save_run());
        effects.extend(self.schedule_next());
        effects
    }

    /// Stores records and snapshot of the current run.
    pub(crate) fn on_train_progress(&mut self, progress: TrainProgress) -> Vec<Effect> {
        let TrainProgress { id, step, records, snapshot, images_per_second, memory, finished } = progress;
        let Some(run) = self.training.run.as_mut().filter(|run| run.active_command == Some(id)) else {
            return Vec::new();
        };
        run.step = step;
        run.records.extend(records);
        if let Some(snapshot) = snapshot {
            run.points.push(AccuracyPoint { step: snapshot.step, clean: snapshot.clean, robust: snapshot.robust });
            run.first_snapshot.get_or_insert_with(|| snapshot.clone());
            run.last_snapshot = Some(snapshot);
        }
        if images_per_second > 0.0 {
            run.images_per_second = images_per_second;
        }
        run.memory = memory;
        if !finished {
            return Vec::new();
        }
        run.active_command = None;
        // The last snapshot may have been interrupted. Then it is still missing.
        let has_last_snapshot = run.points.last().is_some_and(|point| point.step == step);
        let is_complete = step >= run.info.steps && has_last_snapshot;
        if run.phase == RunPhase::SingleStep {
            run.phase = RunPhase::Paused;
        }
        let mut effects = Vec::new();
        if is_complete {
            run.phase = RunPhase::Finished;
            effects = self.save_run();
        }
        effects.extend(self.schedule_next());
        effects
    }

    /// Stores, downloads or opens an exported run or model.
    pub(crate) fn on_run_exported(&mut self, exported: ExportedRun) -> Vec<Effect> {
        let ExportedRun { number, purpose, name, step, bytes } = exported;
        match purpose {
            ExportPurpose::AutoSave => {
                let Some(run) = self.training.run_mut(number) else { return Vec::new() };
                run.last_saved_step = Some(step);
                let copy = RunCopy { number, description: run.description(), history: run.history(), bytes };
                let mut effects = vec![Effect::SaveRun(copy)];
                effects.extend(self.evaluate_exported_run());
                effects
            }
            ExportPurpose::SaveRun | ExportPurpose::SaveModel => vec![Effect::Download(name, bytes)],
            ExportPurpose::LoadModel => vec![Effect::OpenModelBytes(name, bytes)],
        }
    }

    /// A run could not be prepared or resumed.
    pub(crate) fn on_training_failed(&mut self) -> Vec<Effect> {
        let pending = self.training.pending.take();
        match (&mut self.training.run, pending) {
            // The copy of the current run cannot be resumed, so the worker does not have the run.
            (Some(run), Some(PendingRun::Copy(number, _))) if run.number == number => {
                return self.training.archive_run();
            }
            (Some(run), None) => (run.phase, run.active_command) = (RunPhase::Paused, None),
            _ => {}
        }
        Vec::new()
    }

    /// The loss of the run is no longer finite. If the run should be evaluated, its last copy is used.
    pub(crate) fn on_diverged(&mut self, message: String) -> Vec<Effect> {
        if let Some(run) = &mut self.training.run {
            (run.phase, run.active_command, run.diverged) = (RunPhase::Paused, None, true);
        }
        self.notify(message);
        let mut effects = self.evaluate_exported_run();
        effects.extend(self.schedule_next());
        effects
    }
}
