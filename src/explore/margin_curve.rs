//! How the margin shrinks as the ball grows, and where it is gone.

use serde::{Deserialize, Serialize};

use crate::{
    attack::{Attack, AttackBatch, AttackConfig, AttackOutcome, Error, ModelOracle, Observer, any::build_attacks},
    model::Classifier,
    settings::Pixels,
};

/// The margin that an attack leaves an image within a radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginPoint {
    /// In the attack's norm, pixels in [0,1].
    pub epsilon: f32,
    /// In logits; at or below 0 the image has fallen.
    pub margin: f32,
}

/// What the attack of a config, with another radius, finds on each image of a task: the point of lowest margin. The
/// steps keep their proportion to the radius. One call a radius, so that the caller can show each and stop between them.
/// `classes` are the model's.
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
        let found = stage.attack.run(query, task, observer).await?;
        if worst.is_empty() {
            worst = found;
        } else {
            worst.iter_mut().zip(found).filter(|(worst, f)| f.margin < worst.margin).for_each(|(worst, f)| *worst = f);
        }
    }
    Ok(worst)
}

/// The smallest radius at which an image falls, by a straight line from the last one at which it stands to the first at
/// which it has fallen; none if it never falls. `curve` in order of epsilon.
pub fn critical_radius(curve: &[MarginPoint]) -> Option<f32> {
    let first = curve.iter().position(|radius| radius.margin <= 0.0)?;
    let fallen = curve[first];
    let Some(standing) = first.checked_sub(1).map(|i| curve[i]) else {
        return Some(fallen.epsilon);
    };
    let part = standing.margin / (standing.margin - fallen.margin);
    Some(standing.epsilon + part * (fallen.epsilon - standing.epsilon))
}
