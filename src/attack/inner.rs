//! The attack inside adversarial training, after the reference: inference mode, Gaussian start, sign steps on the
//! cross-entropy or, for TRADES, on the divergence from the clean prediction; the last iterate is taken.
//!
//! Unlike the others it stays on the device: in training every image goes all the way, and nobody looks.

use burn::tensor::{Device, Tensor, TensorData};

use super::Classifier;
use crate::{
    kernel,
    loss::{
        Objective, ObjectiveConfig,
        cross_entropy::{cross_entropy, kl_divergence},
    },
    random::{self, Stream},
};

/// d loss / dx at `x`, and the logits there. `loss` must be a sum over images, so that each row of the gradient is
/// that of its own image.
pub fn input_gradient(
    model: &impl Classifier,
    x: Tensor<4>,
    loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
) -> (Tensor<4>, Tensor<2>) {
    let x = x.autodiff().require_grad();
    let logits = model.logits(x.clone());
    let mut gradients = loss(logits.clone()).backward();
    let gradient = x.grad_remove(&mut gradients).unwrap_or_else(|| x.clone().inner().zeros_like());
    (gradient, logits.inner())
}

/// Where training's attack starts beside each image: Gaussian noise of deviation `train_noise`, `[B, 3, H, W]`.
pub fn noise(dims: [usize; 4], config: &ObjectiveConfig, rng: &mut Stream, device: &Device) -> Tensor<4> {
    let noise = random::normal(rng, dims.iter().product());
    Tensor::<4>::from_data(TensorData::new(noise, dims), device).mul_scalar(config.train_noise)
}

/// Adversarial images `[B, 3, H, W]` for training on images `x` with one-hot labels `y` `[B, C]`, in the L-inf ball,
/// from `x` and some [`noise`] on.
pub fn perturb(
    model: &impl Classifier,
    x: &Tensor<4>,
    y: &Tensor<2>,
    objective: Objective,
    config: &ObjectiveConfig,
    noise: Tensor<4>,
) -> Tensor<4> {
    let clean = (objective == Objective::Trades).then(|| model.logits(x.clone()));
    let b = x.dims()[0] as f32;
    let mut x_adv = x.clone() + noise;
    for _ in 0..config.train_steps {
        let (gradient, _) = input_gradient(model, x_adv.clone(), |a| match &clean {
            Some(z) => kl_divergence(z.clone(), a).mul_scalar(b),
            None => cross_entropy(a, y.clone()).mul_scalar(b),
        });
        x_adv = kernel::sign_step(x_adv, gradient, x, config.train_epsilon.0, config.train_step.0);
    }
    x_adv
}
