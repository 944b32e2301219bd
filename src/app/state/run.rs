//! A training run: its settings, progress and results.

use serde::{Deserialize, Serialize};

use crate::{
    evaluate::Report,
    protocol::{RunInfo, RunSnapshot, encode},
    settings::Settings,
    train::{Record, TrainConfig},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    #[default]
    Paused,
    Running,
    /// Trains one step, then pauses.
    SingleStep,
    /// All steps are done.
    Finished,
}

/// What a look found, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub step: u64,
    /// Shares of the held-out images that are right, clean and under attack.
    pub clean: f32,
    pub robust: f32,
}

/// By which attack a run was judged, and how it fared.
pub type EvaluationResult = Option<(String, Report)>;

/// A training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Names its copies.
    pub number: u64,
    pub info: RunInfo,
    /// As it is now.
    pub config: TrainConfig,
    pub phase: RunPhase,
    /// Steps done.
    pub step: u64,
    pub records: Vec<Record>,
    pub points: Vec<Point>,
    /// The whole of the first look at the image in view, and of the last.
    pub first_snapshot: Option<Box<RunSnapshot>>,
    pub last_snapshot: Option<Box<RunSnapshot>>,
    /// Images a second; bytes of the worker's memory.
    pub images_per_second: f64,
    pub memory: u64,
    /// The step of the last copy.
    pub last_saved_step: Option<u64>,
    pub evaluation: EvaluationResult,
    /// The number of the command under which it trains now.
    pub(crate) active_command: Option<u64>,
    /// Its numbers are no longer finite: only its last copy is worth something.
    pub diverged: bool,
    /// Workers that died under it.
    pub(crate) crashes: u32,
}

impl Run {
    pub(crate) fn new(number: u64, info: RunInfo) -> Self {
        let mut run = Self { number, ..Self::default() };
        run.set_info(info);
        run
    }

    pub(crate) fn set_info(&mut self, info: RunInfo) {
        let mut config = TrainConfig::default();
        for (key, value) in &info.settings {
            // The worker read them before.
            let _ = config.set(key, value);
        }
        self.records.retain(|record| record.step <= info.step);
        self.points.retain(|point| point.step <= info.step);
        (self.step, self.config, self.info) = (info.step, config, info);
    }

    /// Its course so far, as it is kept beside a copy.
    pub(crate) fn history(&self) -> Vec<u8> {
        encode(&(&self.records, &self.points, &self.evaluation))
    }

    /// Whether it has moved to where no copy is, and is worth one.
    pub(crate) fn has_unsaved_steps(&self) -> bool {
        !self.diverged && self.last_saved_step != Some(self.step)
    }

    /// Seconds to the end, once the pace is known.
    pub fn seconds_left(&self) -> Option<f64> {
        let images = self.info.steps.saturating_sub(self.step) as f64 * self.info.batch as f64;
        (self.images_per_second > 0.0).then(|| images / self.images_per_second)
    }

    /// What it is, in a few words.
    pub fn description(&self) -> String {
        let Self { info, config, step, .. } = self;
        format!("{} on {}, {}, step {step} of {}", config.objective, config.dataset, info.architecture, info.steps)
    }
}
