//! The Sinkhorn divergence between clean and adversarial logits (Cuturi, 2013), as the reference computes it.

use burn::tensor::{Tensor, activation::log_softmax};

const EPSILON: f32 = 1.0;
const ROUNDS: usize = 50;
const STOP: f32 = 0.1;

/// S(z, a) - S(z, z) / 2 - S(a, a) / 2 for logits `[B, C]`; gives `[1]`.
pub fn divergence(z: Tensor<2>, a: Tensor<2>) -> Tensor<1> {
    let own = transport_cost(a.clone(), a.clone()) + transport_cost(z.clone(), z.clone());
    transport_cost(z, a) - own.mul_scalar(0.5)
}

/// log sum_j exp(m_ij), `[B, B]` -> `[B, 1]`: m_i0 - log softmax(m)_i0.
fn log_sum_exp(m: Tensor<2>) -> Tensor<2> {
    (m.clone() - log_softmax(m, 1)).narrow(1, 0, 1)
}

/// The cost of the entropic plan between two point clouds of equal weight, squared Euclidean ground cost.
///
/// At most 50 rounds; a cloud whose potential moved by less than 0.1 in all stops. The stop is a 0/1 factor that stays
/// on the device: asking for it would be a read-back a round.
fn transport_cost(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let [b, c] = x.dims();
    // Differences, not |x|^2 + |y|^2 - 2xy, which loses the small distances of the diagonal in float32.
    let cost = (x.reshape([b, 1, c]) - y.reshape([1, b, c])).square().sum_dim(2).reshape([b, b]);
    let log_mu = (1.0 / b as f32 + 1e-8).ln();
    let plan = |u: &Tensor<2>, v: &Tensor<2>| (u.clone() + v.clone().transpose() - cost.clone()).div_scalar(EPSILON);
    let mut u = cost.clone().inner().narrow(1, 0, 1).zeros_like(); // [B, 1]
    let mut v = u.clone();
    let mut running = u.clone().ones_like().narrow(0, 0, 1); // [1, 1]
    for _ in 0..ROUNDS {
        let du = (-log_sum_exp(plan(&u, &v)).add_scalar(-log_mu)).mul_scalar(EPSILON) * running.clone();
        u = u + du.clone();
        let dv = (-log_sum_exp(plan(&u, &v).transpose()).add_scalar(-log_mu)).mul_scalar(EPSILON) * running.clone();
        v = v + dv;
        let moved = du.inner().abs().sum().reshape([1, 1]);
        running = running * moved.greater_equal_elem(STOP).float();
    }
    (plan(&u, &v).exp() * cost.clone()).sum()
}
