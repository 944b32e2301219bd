//! Handles the events of the worker about training.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            run::{Point, Run, RunPhase},
            training::PendingRun,
        },
    },
    protocol::{ExportPurpose, RunInfo, RunSnapshot, TrainingDataInfo},
    settings::Settings,
    train::Record,
};

impl State {
    pub(crate) fn on_dataset_changed(&mut self, data: TrainingDataInfo) -> Vec<Effect> {
        let mut tasks = Vec::new();
        // Else an image was labeled meanwhile.
        if data.labeled == self.training.data.labeled
            && let Some(dataset) = &data.uploaded
            && let Some(file) = self.training.loading_dataset.take()
            // Else a new worker has it again, whatever is learned from now.
            && self.training.dataset_file.replace(file) != Some(file)
        {
            let before = self.permalink.train.dataset;
            if self.permalink.train.set("dataset", &dataset.kind).is_ok() && self.permalink.train.dataset != before {
                self.apply_dataset_defaults();
            }
            if !self.training.saved_datasets.iter().any(|(_, kept)| *kept == file) {
                tasks.push(Effect::SaveDataset(file));
            }
        }
        self.training.data = data;
        tasks.extend(self.schedule_next());
        tasks
    }

    pub(crate) fn on_run_ready(&mut self, info: RunInfo) -> Vec<Effect> {
        let training = &mut self.training;
        let mut tasks = match training.pending.take() {
            Some(PendingRun::Fresh(number)) => {
                let tasks = training.archive_run();
                training.run = Some(Run { phase: RunPhase::Running, ..Run::new(number, info) });
                tasks
            }
            Some(PendingRun::Copy(number, phase)) => self.restore_run(number, phase, Some(info.step), info),
            Some(PendingRun::File(_, number)) => self.restore_run(number, RunPhase::Paused, None, info),
            None => {
                if let Some(run) = &mut training.run {
                    run.set_info(info);
                }
                return self.schedule_next();
            }
        };
        tasks.extend(self.save_run());
        tasks.extend(self.schedule_next());
        tasks
    }

    pub(crate) fn on_train_progress(
        &mut self,
        (id, over): (u64, bool),
        step: u64,
        records: Vec<Record>,
        look: Option<Box<RunSnapshot>>,
        [speed, memory]: [f64; 2],
    ) -> Vec<Effect> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.active_command == Some(id)) else {
            return Vec::new();
        };
        run.step = step;
        run.records.extend(records);
        if let Some(look) = look {
            run.points.push(Point { step: look.step, clean: look.clean, robust: look.robust });
            run.first_snapshot.get_or_insert_with(|| look.clone());
            run.last_snapshot = Some(look);
        }
        if speed > 0.0 {
            run.images_per_second = speed;
        }
        run.memory = memory as u64;
        if !over {
            return Vec::new();
        }
        run.active_command = None;
        // The last look may have been interrupted: then it is still to come.
        let done = step >= run.info.steps && run.points.last().is_some_and(|point| point.step == step);
        if run.phase == RunPhase::SingleStep {
            run.phase = RunPhase::Paused;
        }
        if done {
            run.phase = RunPhase::Finished;
        }
        let mut tasks = if done { self.save_run() } else { Vec::new() };
        tasks.extend(self.schedule_next());
        tasks
    }

    pub(crate) fn on_run_exported(
        &mut self,
        (number, step): (u64, u64),
        purpose: ExportPurpose,
        name: String,
        bytes: Vec<u8>,
    ) -> Vec<Effect> {
        match purpose {
            ExportPurpose::AutoSave => {
                let Some(run) = self.training.run_mut(number) else { return Vec::new() };
                run.last_saved_step = Some(step);
                let mut tasks =
                    vec![Effect::SaveRun { number, words: run.description(), history: run.history(), bytes }];
                tasks.extend(self.evaluate_exported_run());
                tasks
            }
            ExportPurpose::SaveRun | ExportPurpose::SaveModel => vec![Effect::Download(name, bytes)],
            ExportPurpose::LoadModel => vec![Effect::LoadModelBytes(name, bytes)],
        }
    }

    /// A run could not begin or go on.
    pub(crate) fn on_training_failed(&mut self) -> Vec<Effect> {
        let coming = self.training.pending.take();
        match (&mut self.training.run, coming) {
            // The worker does not have it.
            (Some(run), Some(PendingRun::Copy(number, _))) if run.number == number => {
                return self.training.archive_run();
            }
            (Some(run), None) => (run.phase, run.active_command) = (RunPhase::Paused, None),
            _ => {}
        }
        Vec::new()
    }

    /// The run's numbers are no longer finite: if it was to be judged, its last copy is.
    pub(crate) fn on_diverged(&mut self, text: String) -> Vec<Effect> {
        if let Some(run) = &mut self.training.run {
            (run.phase, run.active_command, run.diverged) = (RunPhase::Paused, None, true);
        }
        self.notice(text);
        let mut tasks = self.evaluate_exported_run();
        tasks.extend(self.schedule_next());
        tasks
    }
}
