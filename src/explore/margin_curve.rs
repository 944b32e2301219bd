//! The margin curve: the margin of an image as a function of the attack radius epsilon.

use serde::{Deserialize, Serialize};

use crate::{
    attack::{Attack, AttackBatch, AttackConfig, AttackOutcome, Error, ModelOracle, Observer, any::build_attacks},
    model::Classifier,
    settings::Pixels,
};

/// The margin that remains after an attack with one radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginPoint {
    /// The radius in the norm of the attack, for pixels in [0,1].
    pub epsilon: f32,
    /// The margin in logits. At or below 0 the attack has succeeded.
    pub margin: f32,
}

/// Runs the configured attack with another radius, and returns the point with the lowest margin for each image of a
/// batch.
///
/// The step size is scaled with the radius. Each call computes one radius, so the caller can report progress and stop
/// in between. `classes` is the number of classes of the model.
///
/// # Errors
/// If the attack does not support the batch, the output of the model is not finite, or the device fails.
pub async fn attack_at_radius(
    epsilon: f32,
    config: &AttackConfig,
    classes: usize,
    query: &ModelOracle<'_, impl Classifier>,
    task: &AttackBatch,
    observer: &mut impl Observer,
) -> Result<Vec<AttackOutcome>, Error> {
    let scale = if config.epsilon.0 > 0.0 { epsilon / config.epsilon.0 } else { 1.0 };
    let step = Pixels(config.step.0 * scale);
    let config = AttackConfig { epsilon: Pixels(epsilon), step, early_stop: false, ..config.clone() };
    let mut worst: Vec<AttackOutcome> = Vec::new();
    for stage in build_attacks(&config, classes)? {
        stage.attack.check_supported(classes, &task.goals)?;
        let outcomes = stage.attack.run(query, task, observer).await?;
        if worst.is_empty() {
            worst = outcomes;
        } else {
            for (worst, outcome) in worst.iter_mut().zip(outcomes) {
                if outcome.margin < worst.margin {
                    *worst = outcome;
                }
            }
        }
    }
    Ok(worst)
}

/// Returns the smallest radius at which the attack succeeds, or `None` if it never does.
///
/// `curve` must be in ascending order of epsilon. The radius is interpolated linearly between the last point with a
/// positive margin and the first point without.
pub fn critical_radius(curve: &[MarginPoint]) -> Option<f32> {
    let first = curve.iter().position(|point| point.margin <= 0.0)?;
    let fooled = curve[first];
    let Some(robust) = first.checked_sub(1).map(|i| curve[i]) else {
        return Some(fooled.epsilon);
    };
    let fraction = robust.margin / (robust.margin - fooled.margin);
    Some(robust.epsilon + fraction * (fooled.epsilon - robust.epsilon))
}
