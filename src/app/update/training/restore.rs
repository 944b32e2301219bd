//! Restores the current run: in a new worker, or from a stored copy or a file.

use crate::{
    app::{
        domain::effect::Effect,
        state::{
            State,
            run::{Run, RunPhase},
            training::PendingRun,
        },
        update::training::add_labeled_image,
    },
    protocol::{Command, RunInfo, SettingPairs, TrainingDataInfo},
    settings::Settings,
    train::TrainConfig,
};

/// The copy that a run is resumed from.
pub(crate) struct RestoredRun {
    /// The number of the run.
    pub(crate) number: u64,
    /// The phase of the resumed run.
    pub(crate) phase: RunPhase,
    /// Whether the copy is in the browser's storage.
    pub(crate) is_stored: bool,
    /// What the worker reported.
    pub(crate) info: RunInfo,
}

impl State {
    /// Restores data and run in a new worker. A run that the previous worker was preparing is requested again.
    pub(crate) fn restore_training(&mut self) -> Vec<Effect> {
        let training = &mut self.training;
        let pending = training.pending.take();
        (training.data, training.run_evaluation) = (TrainingDataInfo::default(), None);
        let mut effects = Vec::new();
        for (class, pixels) in &training.labeled {
            effects.push(add_labeled_image(class.clone(), pixels.clone()));
        }
        effects.extend(self.load_dataset());
        effects.extend(self.request_restored_run(pending));
        effects
    }

    fn request_restored_run(&mut self, pending: Option<PendingRun>) -> Vec<Effect> {
        let Some(run) = &mut self.training.run else {
            return pending.map(|pending| self.request_run(pending, 0)).into_iter().collect();
        };
        let phase = match pending {
            None => run.phase,
            Some(PendingRun::Copy(number, phase)) if number == run.number => phase,
            Some(pending) => {
                // The pending run replaces the current one.
                let mut effects = self.training.archive_run();
                effects.push(self.request_run(pending, 0));
                return effects;
            }
        };
        run.active_command = None;
        if run.last_saved_step.is_none() {
            self.training.run = None;
            return Vec::new();
        }
        // After repeated crashes the memory may be insufficient: a smaller batch needs less.
        let max_batch = if run.crashes > 1 { (run.info.batch / 2).max(2) } else { 0 };
        let copy = PendingRun::Copy(run.number, phase);
        vec![self.request_run(copy, max_batch)]
    }

    /// Handles the crash of the worker that trained. What it was preparing may have caused the crash, so it is not tried again.
    pub(crate) fn on_training_worker_crashed(&mut self) {
        let training = &mut self.training;
        training.pending = None;
        if let Some(run) = &mut training.run {
            run.crashes += u32::from(run.active_command.is_some());
            run.active_command = None;
        }
        let Some(file) = training.loading_dataset.take() else { return };
        training.dataset_file.take_if(|current| *current == file);
        self.notify(
            "The computation failed while the training images were loading. They may be too many for the memory of this \
             device. Open them again to retry."
                .into(),
        );
    }

    /// Makes a resumed run the current one. Its records come from this session or from the stored history.
    pub(crate) fn on_run_restored(&mut self, restored: RestoredRun) -> Vec<Effect> {
        let RestoredRun { number, phase, is_stored, info } = restored;
        let (training, step) = (&mut self.training, info.step);
        training.saved_runs.retain(|saved| saved.number != number);
        let was_current = training.run.as_ref().is_some_and(|run| run.number == number);
        let known = training.remove_run(number);
        let mut effects = training.archive_run();
        if let Some(settings) = known.as_ref().map(|run| changed_live_settings(run, &info))
            && !settings.is_empty()
        {
            effects.push(Effect::Send(Command::UpdateSettings { settings }));
        }
        let mut run = known.unwrap_or_else(|| {
            let history = training.loaded_history.take_if(|(owner, _)| *owner == number);
            history.map_or_else(|| Run { number, ..Run::default() }, |(_, run)| run)
        });
        let lost = run.step.saturating_sub(step);
        run.set_info(info);
        run.last_saved_step = is_stored.then_some(step);
        (run.active_command, run.diverged) = (None, false);
        run.phase = if run.step >= run.info.steps { RunPhase::Finished } else { phase };
        training.run = Some(run);
        self.notify(if was_current {
            let steps = if lost == 1 { "step is" } else { "steps are" };
            format!("The run was resumed from the copy at step {step}. {lost} {steps} repeated.")
        } else {
            format!("The run was resumed at step {step}.")
        });
        effects
    }
}

/// The settings of a run that were changed during training after the copy was stored.
fn changed_live_settings(run: &Run, info: &RunInfo) -> SettingPairs {
    let mut settings = run.config.to_pairs();
    settings.retain(|pair| TrainConfig::live(&pair.0) && !info.settings.contains(pair));
    settings
}
