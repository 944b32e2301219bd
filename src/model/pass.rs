//! The context of one forward pass.

use burn::tensor::{Device, Tensor};

use super::{dual::Dual, layers::BatchStatistics};
use crate::kernel;

/// Mode of batch normalization in a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Uses the running statistics; images of a batch do not influence each other.
    Inference,
    /// Uses the statistics of the batch.
    Training,
}

/// Context of one forward pass: the mode, and the statistics and activations that the pass collects.
pub struct Pass {
    pub(super) mode: Mode,
    /// In training mode, the statistics of the batch in the order of the layers, if they are collected.
    pub(super) statistics: Option<Vec<BatchStatistics>>,
    recording: bool,
    /// Outputs `[B, C, H, W]` of a recording pass in order, with their state-dict names: the first convolution, the
    /// units, and the last activation before the pooling.
    pub activations: Vec<(String, Tensor<4>)>,
}

impl Pass {
    /// Starts a pass in inference mode.
    pub fn inference() -> Self {
        Self::new(Mode::Inference, None)
    }

    /// Starts a pass in inference mode that records the activations.
    pub fn recording() -> Self {
        Self { recording: true, ..Self::inference() }
    }

    /// Starts a pass in training mode that collects the batch statistics for
    /// [`Model::update_running`](super::Model::update_running).
    pub fn training() -> Self {
        Self::new(Mode::Training, Some(Vec::new()))
    }

    /// Starts a pass in training mode that leaves the running statistics unchanged: for further passes of a training
    /// step.
    pub fn training_frozen_stats() -> Self {
        Self::new(Mode::Training, None)
    }

    fn new(mode: Mode, statistics: Option<Vec<BatchStatistics>>) -> Self {
        Self { mode, statistics, recording: false, activations: Vec::new() }
    }

    /// Moves the statistics to a device.
    pub fn on_device(self, device: &Device) -> Self {
        let moved = |s: Vec<BatchStatistics>| s.into_iter().map(|s| s.on_device(device)).collect();
        Self { statistics: self.statistics.map(moved), ..self }
    }

    /// Returns `x`; a recording pass also stores it under `name`.
    pub(super) fn record(&mut self, name: &str, x: Dual<4>) -> Dual<4> {
        if self.recording {
            self.activations.push((name.to_owned(), kernel::maps_to_images(x.value.clone())));
        }
        x
    }
}
