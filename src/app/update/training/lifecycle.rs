//! The lifecycle of a run: training, saving and archiving it, and loading its data.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            run::{History, Run, RunPhase},
            training::Training,
        },
        update::training::export_run,
    },
    protocol::{Command, ExportPurpose, decode},
    train::TrainConfig,
};

impl Training {
    /// Archives the current run. If it has no steps, it is removed together with its copy.
    pub(crate) fn archive_run(&mut self) -> Vec<Effect> {
        let Some(run) = self.run.take() else { return Vec::new() };
        if run.step == 0 {
            return vec![Effect::DeleteSavedRun(run.number)];
        }
        self.archived.push(run);
        Vec::new()
    }

    /// Decodes the stored history of a run. It is ignored if an older version of the page wrote another format.
    pub(crate) fn set_loaded_history(&mut self, number: u64, history: &[u8]) {
        let decoded: Result<History, _> = decode(history);
        self.loaded_history = match decoded {
            Ok((records, points, evaluation)) => {
                Some((number, Run { number, records, points, evaluation, ..Run::default() }))
            }
            Err(_) => None,
        };
    }

    /// Removes the run with this number, current or archived.
    pub(crate) fn remove_run(&mut self, number: u64) -> Option<Run> {
        if let Some(run) = self.run.take_if(|run| run.number == number) {
            return Some(run);
        }
        let index = self.archived.iter().position(|run| run.number == number)?;
        Some(self.archived.remove(index))
    }
}

impl State {
    /// Trains the current run, if it is running and the worker is idle.
    pub(crate) fn continue_training(&mut self) -> Vec<Effect> {
        let is_busy = self.has_foreground_job() || self.backend.current.is_none();
        let id = self.last_id + 1;
        let Some(run) = self.training.run.as_mut() else { return Vec::new() };
        let steps = match run.phase {
            RunPhase::Running => u64::MAX,
            RunPhase::SingleStep => 1,
            RunPhase::Paused | RunPhase::Finished => return Vec::new(),
        };
        if is_busy || run.active_command.is_some() {
            return Vec::new();
        }
        run.active_command = Some(id);
        self.last_id = id;
        vec![Effect::Send(Command::Train { id, steps })]
    }

    /// Exports the current run to store it, if it has unsaved steps.
    pub(crate) fn save_run(&self) -> Vec<Effect> {
        if self.backend.current.is_none() || self.training.is_preparing() {
            return Vec::new();
        }
        match &self.training.run {
            Some(run) if run.has_unsaved_steps() => vec![export_run(run.number, ExportPurpose::AutoSave)],
            _ => Vec::new(),
        }
    }

    /// Loads the requested data set, or else the one that the previous worker had.
    pub(crate) fn load_dataset(&mut self) -> Vec<Effect> {
        if self.backend.current.is_none() {
            return Vec::new();
        }
        let training = &mut self.training;
        training.loading_dataset = training.loading_dataset.or(training.dataset_file);
        training.loading_dataset.map(Effect::LoadDataset).into_iter().collect()
    }

    /// Photos are plentiful and may be mirrored, so all of them are used, with augmentation.
    pub(crate) fn apply_dataset_defaults(&mut self) {
        let demo = TrainConfig::demo();
        let is_embedded = self.permalink.train.dataset == demo.dataset;
        let (limit, augment) = if is_embedded { (demo.limit, demo.augment) } else { (0, true) };
        (self.permalink.train.limit, self.permalink.train.augment) = (limit, augment);
    }

    /// Removes the results of the current run for the previous image.
    pub(crate) fn reset_tracked_image(&mut self) {
        let Some(run) = &mut self.training.run else { return };
        run.first_snapshot = None;
        if let Some(last) = &mut run.last_snapshot {
            last.tracked = None;
        }
    }
}
