//! A training run: its settings, progress and results.

use serde::{Deserialize, Serialize};

use crate::{
    evaluate::Report,
    protocol::{RunInfo, RunSnapshot, encode},
    settings::Settings,
    train::{Record, TrainConfig},
};

/// The phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    /// Does not train.
    #[default]
    Paused,
    /// Trains whenever the worker has nothing else to do.
    Running,
    /// Trains one step, then pauses.
    SingleStep,
    /// All steps are done.
    Finished,
}

/// Accuracies of a snapshot. It is stored with `postcard`: the order of the fields is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccuracyPoint {
    /// Number of completed steps.
    pub step: u64,
    /// Clean accuracy on the held-out images, in [0,1].
    pub clean: f32,
    /// Robust accuracy on the held-out images, in [0,1].
    pub robust: f32,
}

/// The attack that a run was evaluated with, and the report; `None` before the first evaluation.
pub type EvaluationResult = Option<(String, Report)>;

/// The part of a run that is stored beside its checkpoint.
pub type History = (Vec<Record>, Vec<AccuracyPoint>, EvaluationResult);

/// A training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Names the stored copies: the time of creation in milliseconds since 1970.
    pub number: u64,
    /// What the worker reported when it prepared the run.
    pub info: RunInfo,
    /// The current settings.
    pub config: TrainConfig,
    /// The phase.
    pub phase: RunPhase,
    /// Number of completed steps.
    pub step: u64,
    /// The record of each step.
    pub records: Vec<Record>,
    /// The accuracies of each snapshot.
    pub points: Vec<AccuracyPoint>,
    /// The first snapshot with the current image.
    pub first_snapshot: Option<Box<RunSnapshot>>,
    /// The last snapshot.
    pub last_snapshot: Option<Box<RunSnapshot>>,
    /// Training speed; 0 until it is known.
    pub images_per_second: f64,
    /// Memory of the worker in bytes; 0 if it is unknown.
    pub memory: u64,
    /// The step of the last stored copy.
    pub last_saved_step: Option<u64>,
    /// The last evaluation.
    pub evaluation: EvaluationResult,
    /// The id of the command that trains the run; `None` while the worker does not train it.
    pub(crate) active_command: Option<u64>,
    /// Whether the loss is no longer finite. Only the last copy can be resumed.
    pub diverged: bool,
    /// Number of workers that crashed while training the run.
    pub(crate) crashes: u32,
}

impl Run {
    pub(crate) fn new(number: u64, info: RunInfo) -> Self {
        let mut run = Self { number, ..Self::default() };
        run.set_info(info);
        run
    }

    /// Sets what the worker reported, and removes the records of steps that it does not have.
    pub(crate) fn set_info(&mut self, info: RunInfo) {
        let mut config = TrainConfig::default();
        for (key, value) in &info.settings {
            // Cannot fail: the worker has parsed the settings.
            let _ = config.set(key, value);
        }
        self.records.retain(|record| record.step <= info.step);
        self.points.retain(|point| point.step <= info.step);
        (self.step, self.config, self.info) = (info.step, config, info);
    }

    /// Encodes the [`History`].
    pub(crate) fn history(&self) -> Vec<u8> {
        encode(&(&self.records, &self.points, &self.evaluation))
    }

    /// Whether the run has steps that are not stored, and is worth storing.
    pub(crate) fn has_unsaved_steps(&self) -> bool {
        !self.diverged && self.last_saved_step != Some(self.step)
    }

    /// Estimated remaining time; `None` until the speed is known.
    pub fn seconds_left(&self) -> Option<f64> {
        let images = self.info.steps.saturating_sub(self.step) as f64 * self.info.batch as f64;
        (self.images_per_second > 0.0).then(|| images / self.images_per_second)
    }

    /// A short description for the list of stored runs.
    pub fn description(&self) -> String {
        let Self { info, config, step, .. } = self;
        format!("{} on {}, {}, step {step} of {}", config.objective, config.dataset, info.architecture, info.steps)
    }
}
