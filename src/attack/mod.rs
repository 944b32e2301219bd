//! Adversarial attacks.
//!
//! An attack is a struct with its parameters that implements [`Attack`]. It works on any [`Classifier`]. Pixels are in
//! [0,1], epsilon has the same unit, and models run in inference mode.
//!
//! The arithmetic of an attack runs on the host, image by image; the device only evaluates the model ([`ModelOracle`]).
//! Therefore projections are exact in float32 and equal on every backend. Each image has its own step size, stopping
//! point and random stream, and leaves the batch once the attack on it has succeeded. Only the attack inside adversarial
//! training ([`inner`]) stays on the device.

pub mod any;
pub mod apgd;
pub mod autoattack;
pub mod boundary;
mod config;
pub mod cw;
pub mod deepfool;
pub mod fab;
pub mod inner;
pub mod loss;
pub mod pgd;
pub mod query;
pub mod rounding;
pub mod simba;
pub mod square;
pub mod threat;

use std::ops::ControlFlow;

use crate::model::Classifier;
pub use any::AnyAttack;
pub use config::{AttackConfig, AttackKind, AttackLoss, Norm, StepSchedule};
pub use loss::{Goal, Loss};
pub use query::{Logits, ModelOracle};
pub use threat::ThreatModel;

/// Reason why an attack stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("the model returned NaN or infinity (output or gradient): the file is damaged or training diverged")]
    NotFinite,
    #[error("the device failed: {0}")]
    Device(String),
    #[error("{0}")]
    Unsuited(String),
}

/// Images to attack and the goal of each.
#[derive(Clone, Debug)]
pub struct AttackBatch {
    /// Pixels `[B, 3, H, W]` in [0,1], flat.
    pub images: Vec<f32>,
    /// Goals `[B]`.
    pub goals: Vec<Goal>,
    /// Numbers of the images `[B]`. The random stream of an image depends on its number and the seed, not on the batch.
    pub image_ids: Vec<u64>,
}

impl AttackBatch {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.goals.len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.goals.is_empty()
    }

    /// Returns the pixels `[3, H, W]` of image `i`.
    pub fn image(&self, i: usize) -> &[f32] {
        let n = self.images.len() / self.len();
        &self.images[i * n..(i + 1) * n]
    }
}

/// Best result of an attack on one image so far.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackOutcome {
    /// Image with the lowest margin inside the threat model `[3, H, W]`; at first the original.
    pub x: Vec<f32>,
    /// Margin of the goal at `x`, in logits; the attack has succeeded if it is at most 0.
    pub margin: f32,
    /// Norm of the smallest perturbation that reaches the goal, inside the threat model or outside.
    pub distance: Option<f32>,
}

impl AttackOutcome {
    /// Returns whether the attack has succeeded inside the threat model.
    pub fn succeeded(&self) -> bool {
        self.margin <= 0.0
    }

    /// Stores a point inside the threat model if its margin is lower.
    fn keep_if_worse(&mut self, x: &[f32], margin: f32, distance: impl FnOnce() -> f32) {
        if margin <= 0.0 {
            let distance = distance();
            self.distance = Some(self.distance.map_or(distance, |d| d.min(distance)));
        }
        if margin < self.margin {
            self.x.copy_from_slice(x);
            self.margin = margin;
        }
    }

    /// Stores a point that reaches the goal if it is the nearest so far, for attacks that minimize the perturbation. Outside
    /// the threat model only the distance is stored.
    fn keep_if_closer(&mut self, x: &[f32], margin: f32, distance: f32, threat: &ThreatModel) {
        if margin <= 0.0 && self.distance.is_none_or(|d| distance < d) {
            self.distance = Some(distance);
            if distance <= threat.epsilon {
                self.x.copy_from_slice(x);
                self.margin = margin;
            }
        }
    }
}

/// Progress of an attack, reported after each step.
pub struct Progress<'a> {
    /// Steps done, over all restarts and targets.
    pub done: usize,
    /// Total number of steps.
    pub total: usize,
    /// Results so far, `[B]`.
    pub found: &'a [AttackOutcome],
}

/// Callback of an attack.
pub trait Observer {
    /// Receives the progress after each step. Returns `Break` to stop the attack, which then returns its results so far.
    fn step(&mut self, progress: Progress<'_>) -> impl Future<Output = ControlFlow<()>>;
}

/// Ignores the progress.
impl Observer for () {
    async fn step(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// An attack; the implementing type contains its parameters.
pub trait Attack {
    /// Attacks the images of `task` that the model classifies correctly and returns a result for each image. Images that are
    /// already misclassified are returned unchanged.
    ///
    /// # Errors
    /// If the model returns NaN or infinity, the device fails, or the attack does not support the model.
    fn run(
        &self,
        query: &ModelOracle<impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> impl Future<Output = Result<Vec<AttackOutcome>, Error>>;
}

/// Returns the outcomes before the first step, with the clean images, and the clean logits.
async fn initial_outcomes(
    query: &ModelOracle<'_, impl Classifier>,
    task: &AttackBatch,
) -> Result<(Vec<AttackOutcome>, Logits), Error> {
    let logits = query.logits(&task.images).await?;
    let found = |(i, z)| {
        let goal: Goal = task.goals[i];
        let margin = goal.margin(z);
        AttackOutcome { x: task.image(i).to_vec(), margin, distance: (margin <= 0.0).then_some(0.0) }
    };
    let found = logits.rows().enumerate().map(found).collect();
    Ok((found, logits))
}

/// Returns the indices of the images on which the attack has not succeeded.
fn unfooled(found: &[AttackOutcome]) -> Vec<usize> {
    (0..found.len()).filter(|&i| !found[i].succeeded()).collect()
}

/// Returns the random stream of one restart on one image.
fn stream(seed: u64, id: u64, restart: usize) -> crate::random::Stream {
    crate::random::stream(seed, crate::random::StreamId::Attack, (id << 16) | restart as u64)
}
