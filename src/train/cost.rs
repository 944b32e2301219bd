//! Cost of a training step.

use super::TrainConfig;
use crate::{loss::Objective, model::cost::Passes};

/// Of a training step. Each step of the attack is a forward pass and the gradient of the pixels; a pass that is trained
/// on is gone back through for inputs and weights, and one with a tangent counts twice.
pub fn passes_per_step(config: &TrainConfig) -> Passes {
    let objective = config.objective;
    let attack = if objective.needs_attack() { config.coefficients.train_steps as u64 } else { 0 };
    // Trained on; forward only; forward and back to the pixels, for the directions of the Jacobian term.
    let (trained, seen, to_pixels) = match objective {
        Objective::Ce | Objective::Pgd => (1, 0, 0),
        Objective::Trades | Objective::Alp | Objective::Sinkhorn | Objective::Sw => (2, 0, 0),
        Objective::RandJac => (2, 0, 1),
        Objective::SwJac => (2, 1, 1),
        Objective::Otjr => (3, 0, 1),
    };
    // The attack of TRADES moves away from the clean prediction.
    let clean = u64::from(objective == Objective::Trades);
    // The last layer's part is too small to count.
    let back = if config.head_only { 0 } else { trained };
    // With perturbed weights all but the attack is done twice.
    let times = if config.awp > 0.0 { 2 } else { 1 };
    Passes {
        forward: attack + clean + times * (trained + seen + to_pixels),
        pixels: attack + times * to_pixels,
        inputs: times * back,
        weights: times * back,
    }
}
