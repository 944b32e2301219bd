//! The lifecycle of a run: saving, archiving, resuming, restoring it in a new worker.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            run::{EvaluationResult, Point, Run, RunPhase},
            training::{PendingRun, Training},
        },
        update::training::{export, label},
    },
    protocol::{Command, ExportPurpose, RunInfo, SettingPairs, TrainingDataInfo, decode},
    settings::Settings,
    train::{Record, TrainConfig},
};

impl Training {
    /// Puts the run among those before; one that never moved is forgotten, with its copy.
    pub(crate) fn archive_run(&mut self) -> Vec<Effect> {
        match self.run.take() {
            Some(run) if run.step == 0 => vec![Effect::DeleteSavedRun(run.number)],
            run => {
                self.archived.extend(run);
                Vec::new()
            }
        }
    }

    /// Takes what was kept of a run's course; what an older page has written may be lost.
    pub(crate) fn set_loaded_history(&mut self, number: u64, history: &[u8]) {
        let course: Result<(Vec<Record>, Vec<Point>, EvaluationResult), _> = decode(history);
        let run =
            |(records, points, evaluation)| (number, Run { number, records, points, evaluation, ..Run::default() });
        self.loaded_history = course.ok().map(run);
    }

    /// Takes out what is known of a run.
    fn remove_run(&mut self, number: u64) -> Option<Run> {
        let place = self.archived.iter().position(|run| run.number == number);
        self.run.take_if(|run| run.number == number).or_else(|| place.map(|place| self.archived.remove(place)))
    }
}

impl State {
    /// Trains on, if nothing else is to be done.
    pub(crate) fn continue_training(&mut self) -> Vec<Effect> {
        let others = self.computes_otherwise();
        let Some(run) = self.training.run.as_mut() else { return Vec::new() };
        let steps = match run.phase {
            RunPhase::Running => u64::MAX,
            RunPhase::SingleStep => 1,
            RunPhase::Paused | RunPhase::Finished => return Vec::new(),
        };
        if others || run.active_command.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.last_id += 1;
        run.active_command = Some(self.last_id);
        vec![Effect::Send(Command::Train { id: self.last_id, steps })]
    }

    /// Keeps a copy of the run, if it has moved since the last one.
    pub(crate) fn save_run(&self) -> Vec<Effect> {
        let can = self.backend.current.is_some() && !self.training.is_preparing();
        let moved = self.training.run.as_ref().filter(|run| can && run.has_unsaved_steps());
        moved.map(|run| export(run.number, ExportPurpose::AutoSave)).into_iter().collect()
    }

    pub(crate) fn load_dataset(&mut self) -> Vec<Effect> {
        let training = &mut self.training;
        let file = training.loading_dataset.or(training.dataset_file).filter(|_| self.backend.current.is_some());
        training.loading_dataset = file.or(training.loading_dataset);
        file.map(Effect::LoadDataset).into_iter().collect()
    }

    /// A new worker knows nothing of the data nor of the run, nor of what the one before was preparing.
    pub(crate) fn restore_training(&mut self) -> Vec<Effect> {
        let training = &mut self.training;
        let coming = training.pending.take();
        (training.data, training.run_evaluation) = (TrainingDataInfo::default(), None);
        let mut tasks: Vec<Effect> = training.labeled.iter().cloned().map(label).collect();
        tasks.extend(self.load_dataset());
        let run = self.training.run.as_mut();
        let Some((phase, run)) = run.and_then(|run| match coming {
            None => Some((run.phase, run)),
            Some(PendingRun::Copy(number, phase)) if number == run.number => Some((phase, run)),
            Some(_) => None,
        }) else {
            // It takes the place of the run, if there is one, here as there.
            if let Some(coming) = coming {
                tasks.extend(self.training.archive_run());
                tasks.push(self.request_run(coming, 0));
            }
            return tasks;
        };
        run.active_command = None;
        // What fails twice may be short of memory.
        let batch = if run.crashes > 1 { (run.info.batch / 2).max(2) } else { 0 };
        match run.last_saved_step {
            Some(_) => {
                let copy = PendingRun::Copy(run.number, phase);
                tasks.push(self.request_run(copy, batch));
            }
            None => self.training.run = None,
        }
        tasks
    }

    /// The worker that trained is gone. Whatever it was preparing may have been the cause.
    pub(crate) fn training_crashed(&mut self) {
        let training = &mut self.training;
        training.pending = None;
        let file = training.loading_dataset.take();
        if let Some(run) = &mut training.run {
            run.crashes += u32::from(run.active_command.is_some());
            run.active_command = None;
        }
        if file.is_some() {
            training.dataset_file.take_if(|used| Some(*used) == file);
            self.notice(
                "The images to learn from were being read when the computation failed: they may be too many for this \
                 device's memory. Open them once more to try again."
                    .into(),
            );
        }
    }

    /// Real images are many, and alike under a flip.
    pub(crate) fn apply_dataset_defaults(&mut self) {
        let usual = TrainConfig::demo();
        let drawn = self.permalink.train.dataset == usual.dataset;
        (self.permalink.train.limit, self.permalink.train.augment) =
            if drawn { (usual.limit, usual.augment) } else { (0, true) };
    }

    /// Another image is in view.
    pub(crate) fn reset_tracked_image(&mut self) {
        if let Some(run) = &mut self.training.run {
            run.first_snapshot = None;
            if let Some(last) = &mut run.last_snapshot {
                last.tracked = None;
            }
        }
    }

    /// The worker has a run again, from a copy of the step `kept` or from a file.
    pub(crate) fn restore_run(
        &mut self,
        number: u64,
        phase: RunPhase,
        kept: Option<u64>,
        info: RunInfo,
    ) -> Vec<Effect> {
        let (training, step) = (&mut self.training, info.step);
        training.saved_runs.retain(|earlier| earlier.number != number);
        let same = training.run.as_ref().is_some_and(|run| run.number == number);
        let known = training.remove_run(number);
        let mut tasks = training.archive_run();
        // Settings that have changed since the copy.
        let changed = |run: &Run| {
            let live = run.config.to_pairs().into_iter().filter(|pair| TrainConfig::live(&pair.0));
            live.filter(|pair| !info.settings.contains(pair)).collect::<SettingPairs>()
        };
        let settings = known.as_ref().map(changed).unwrap_or_default();
        if !settings.is_empty() {
            tasks.push(Effect::Send(Command::UpdateSettings { settings }));
        }
        let remembered = || training.loaded_history.take_if(|(of, _)| *of == number).map(|(_, run)| run);
        let mut run = known.or_else(remembered).unwrap_or_else(|| Run { number, ..Run::default() });
        let lost = run.step.saturating_sub(step);
        run.set_info(info);
        (run.last_saved_step, run.active_command, run.diverged) = (kept, None, false);
        run.phase = if run.step >= run.info.steps { RunPhase::Finished } else { phase };
        training.run = Some(run);
        self.notice(match same {
            true => format!(
                "The run goes on from the copy kept at step {step}, {lost} step{} back.",
                if lost == 1 { "" } else { "s" }
            ),
            false => format!("The run is back where it was, after step {step}."),
        });
        tasks
    }
}
