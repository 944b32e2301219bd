//! What is done with gradients between the loss and the optimizer. A gradient is a list with an entry for each slot of the
//! model, in their order: `[n]`, or none for what is not learned.

use burn::tensor::Tensor;

use crate::{loss::objective::ObjectiveOutput, model::Model};

pub type Gradient = Vec<Option<Tensor<1>>>;

/// The gradient of a loss in the weights that it was computed with.
pub fn from_output(evaluation: &mut ObjectiveOutput) -> Gradient {
    let mut gradients = evaluation.loss.backward();
    let slots = evaluation.model.named_tensors().into_iter();
    slots.map(|leaf| if leaf.learned() { leaf.gradient(&mut gradients) } else { None }).collect()
}

/// `gradient` times `factor`.
pub fn scaled(gradient: Gradient, factor: f32) -> Gradient {
    gradient.into_iter().map(|g| g.map(|g| if factor == 1.0 { g } else { g.mul_scalar(factor) })).collect()
}

pub fn sum(a: Gradient, b: Gradient) -> Gradient {
    a.into_iter().zip(b).map(|(a, b)| Some(a? + b?)).collect()
}

/// The gradient, no longer than `longest` (the Euclidean norm over all weights). Nothing is read back.
pub fn clip(gradient: Gradient, longest: f32) -> Gradient {
    let squares: Vec<Tensor<1>> = gradient.iter().flatten().map(|g| g.clone().square().sum()).collect();
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    // As PyTorch's `clip_grad_norm_`.
    let factor = norm.add_scalar(1e-6).recip().mul_scalar(longest).clamp_max(1.0);
    gradient.into_iter().map(|g| g.map(|g| g * factor.clone())).collect()
}

/// `model` with each weight matrix or kernel w moved uphill, to w + gamma |w| g / |g|: adversarial weight perturbation (Wu,
/// Xia and Wang, 2020, eq. 10). Biases and batch normalization stay.
pub fn perturb(model: &Model, gradient: &Gradient, gamma: f32) -> Model {
    let norm = |t: &Tensor<1>| t.clone().square().sum().sqrt();
    let mut moved = model.clone();
    for (slot, g) in moved.named_tensors().into_iter().zip(gradient) {
        if let Some(g) = g.as_ref().filter(|_| slot.shape().len() > 1) {
            let w = slot.flat();
            let factor = norm(&w).mul_scalar(gamma) / norm(g).add_scalar(1e-20);
            slot.set_flat(w + g.clone() * factor);
        }
    }
    moved
}
