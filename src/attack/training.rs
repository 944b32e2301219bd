//! The attack inside adversarial training, after the reference: inference mode, Gaussian start, sign steps on the
//! cross-entropy or, for TRADES, on the divergence from the clean prediction; the last iterate is taken.

use burn::tensor::{Tensor, TensorData};

use super::{Classifier, Threat, input_gradient};
use crate::{
    config::{Norm, Objective, ObjectiveConfig},
    loss::cross_entropy::{cross_entropy, kl_divergence},
    random::{self, Stream},
};

/// Adversarial pictures `[B, 3, H, W]` for training on pictures `x` with one-hot labels `y` `[B, C]`.
pub fn perturb(
    model: &impl Classifier,
    x: &Tensor<4>,
    y: &Tensor<2>,
    objective: Objective,
    config: &ObjectiveConfig,
    rng: &mut Stream,
) -> Tensor<4> {
    let threat = Threat { norm: Norm::Linf, epsilon: config.train_epsilon.0 };
    let noise = random::normal(rng, x.dims().iter().product());
    let noise: Tensor<4> = Tensor::from_data(TensorData::new(noise, x.dims()), &x.device());
    let clean = (objective == Objective::Trades).then(|| model.logits(x.clone()));
    let b = x.dims()[0] as f32;
    let mut x_adv = x.clone() + noise.mul_scalar(config.train_noise);
    for _ in 0..config.train_steps {
        let (gradient, _) = input_gradient(model, x_adv.clone(), |a| match &clean {
            Some(z) => kl_divergence(z.clone(), a).mul_scalar(b),
            None => cross_entropy(a, y.clone()).mul_scalar(b),
        });
        let ahead = x_adv + threat.steepest(gradient).mul_scalar(config.train_step.0);
        x_adv = threat.project(ahead, x.clone());
    }
    x_adv
}
