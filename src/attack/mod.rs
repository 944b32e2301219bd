//! Attacks and what they share.
//!
//! An attack is a small value with its parameters; a model is anything that gives logits. Pixels are in [0,1], epsilon
//! is in the same unit, and models are attacked in inference mode.
//!
//! The arithmetic of an attack, a few thousand numbers an image, is done on the host, image by image, and reads
//! like the paper; the device only evaluates the model ([`ModelOracle`]). So projections are exact in float32 and equal on
//! every backend, each image has its own step size, stopping point and random stream, and images that have fallen
//! leave the batch at once. Only the attack inside training ([`training`]) stays on the device.

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

/// Why an attack could not go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("the model's output or its gradient is not a number: it is damaged, or its training diverged")]
    NotFinite,
    #[error("the device failed: {0}")]
    Device(String),
    #[error("{0}")]
    Unsuited(String),
}

/// Images and what is wanted of each.
#[derive(Clone, Debug)]
pub struct AttackBatch {
    /// `[B, 3, H, W]` in [0,1], flat.
    pub images: Vec<f32>,
    /// `[B]`.
    pub goals: Vec<Goal>,
    /// `[B]`, numbers of the images: what is random in an attack on an image depends on its number and the seed, not
    /// on the batch that it is in.
    pub image_ids: Vec<u64>,
}

impl AttackBatch {
    pub fn len(&self) -> usize {
        self.goals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.goals.is_empty()
    }

    /// The pixels of image `i`.
    pub fn image(&self, i: usize) -> &[f32] {
        let n = self.images.len() / self.len();
        &self.images[i * n..(i + 1) * n]
    }
}

/// What an attack has found on one image so far.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackOutcome {
    /// The worst point inside the threat; the image itself until there is a worse one.
    pub x: Vec<f32>,
    /// The goal's margin there; at or below 0 the goal is reached.
    pub margin: f32,
    /// The size of the smallest perturbation that reaches the goal, inside the threat or beyond.
    pub distance: Option<f32>,
}

impl AttackOutcome {
    /// Whether the goal is reached inside the threat.
    pub fn succeeded(&self) -> bool {
        self.margin <= 0.0
    }

    /// Takes a point inside the threat over if its margin is lower.
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

    /// Takes a point that reaches the goal over if it is the nearest, for attacks that look for the smallest
    /// perturbation; beyond the threat only its distance is kept.
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

/// Where an attack is; shown to its observer after each step.
pub struct Progress<'a> {
    /// Steps done, of all restarts and targets.
    pub done: usize,
    pub total: usize,
    pub found: &'a [AttackOutcome],
}

/// Watches an attack, may let others run meanwhile, and may end it; what was found until then is kept.
pub trait Observer {
    fn step(&mut self, progress: Progress<'_>) -> impl Future<Output = ControlFlow<()>>;
}

/// Does not look.
impl Observer for () {
    async fn step(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// One attack: its type holds its parameters.
pub trait Attack {
    /// Attacks the images of `task` that the model still gets right; the others are returned as they are.
    fn run(
        &self,
        query: &ModelOracle<impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> impl Future<Output = Result<Vec<AttackOutcome>, Error>>;
}

/// The images as they are, with their margins, and their logits: what every attack begins with.
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

/// The numbers of the images on which the goal is not reached.
fn unfooled(found: &[AttackOutcome]) -> Vec<usize> {
    (0..found.len()).filter(|&i| !found[i].succeeded()).collect()
}

/// The random stream of one run on one image.
fn stream(seed: u64, id: u64, restart: usize) -> crate::random::Stream {
    crate::random::stream(seed, crate::random::StreamId::Attack, (id << 16) | restart as u64)
}
