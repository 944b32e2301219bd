//! Accuracy on held-out images, epoch by epoch: adversarially trained models lose robustness when trained for too long
//! while their training loss still falls (Rice, Wong and Kolter, 2020), so the best epoch is kept, not the last.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::{
    attack::{AttackConfig, AttackKind, Error, Norm},
    data::ImageSet,
    evaluate::{State, accuracy},
};

/// Steps of the attack, each a quarter of the radius long.
const STEPS: usize = 10;
/// Images attacked at once.
const BATCH: usize = 250;

/// What a model had reached at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// From 1.
    pub epoch: u64,
    /// Share of the held-out images that the model gets right.
    pub clean: f64,
    /// The same under PGD-10 within the radius of training.
    pub robust: f64,
}

/// Judges a run's model; none if `progress` ends it before.
pub async fn validate(
    trainer: &Trainer,
    epoch: u64,
    images: &ImageSet,
    progress: impl FnMut(&State) -> ControlFlow<()>,
) -> Result<Option<Validation>, Error> {
    let epsilon = trainer.config.coefficients.train_epsilon;
    let attack = AttackConfig { steps: STEPS, ..AttackConfig::of(AttackKind::Pgd, Norm::Linf).within(epsilon) };
    let state = accuracy(trainer.final_model(), images, &attack, BATCH, &trainer.device, progress).await?;
    let [clean, robust] = state.accuracy().shares();
    Ok(state.finished.then_some(Validation { epoch, clean, robust }))
}

/// The epoch that withstood best; of several the one with the highest clean accuracy, then the first.
pub fn best(history: &[Validation]) -> Option<&Validation> {
    let key = |v: &Validation| (v.robust, v.clean);
    history.iter().reduce(|best, v| if key(v) > key(best) { v } else { best })
}

/// Whether the last `patience` epochs brought nothing better.
pub fn is_over(history: &[Validation], patience: usize) -> bool {
    let last = history.last().map_or(0, |v| v.epoch);
    patience > 0 && best(history).is_some_and(|best| last - best.epoch >= patience as u64)
}
