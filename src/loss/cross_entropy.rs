//! Cross-entropy and the logit distances of TRADES and adversarial logit pairing.

use burn::tensor::{Tensor, activation::log_softmax};

/// CE(z, y) = -mean_i log softmax(z_i)[y_i]. `z` logits and `y` one-hot labels, both `[B, C]`; gives `[1]`.
pub fn cross_entropy(z: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let [b, _] = z.dims();
    -(log_softmax(z, 1) * y).sum().div_scalar(b as f32)
}

/// KL(softmax(z) || softmax(a)), mean over the batch: the regularizer of TRADES (Zhang et al., 2019, eq. 3).
pub fn kl_divergence(z: Tensor<2>, a: Tensor<2>) -> Tensor<1> {
    let [b, _] = z.dims();
    let log_p = log_softmax(z, 1);
    (log_p.clone().exp() * (log_p - log_softmax(a, 1))).sum().div_scalar(b as f32)
}

/// The mean of (z - a)^2 over batch and classes: adversarial logit pairing (Kannan et al., 2018).
pub fn logit_pairing(z: Tensor<2>, a: Tensor<2>) -> Tensor<1> {
    (z - a).square().mean()
}
