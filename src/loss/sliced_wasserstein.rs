//! Sliced Wasserstein distance (Bonneel et al., 2015) between clean and adversarial logits, and the directions of its
//! transport (OTJR, <https://arxiv.org/abs/2303.11793>).

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::random::{self, Stream};

/// The transport of a batch of adversarial logits onto the clean ones.
pub struct Transport {
    /// L_SW: mean over projections and images of delta^2; differentiable in both logits. `[1]`.
    pub value: Tensor<1>,
    /// m_i = sum_k delta_ik theta_k, detached. `[B, C]`.
    pub movement: Tensor<2>,
}

impl Transport {
    /// The unit rows of [`Transport::movement`], `[B, C]`; an image that does not move has the zero row.
    pub fn direction(&self) -> Tensor<2> {
        unit_rows(self.movement.clone())
    }
}

/// Scales rows to unit length and leaves zero rows at zero.
fn unit_rows(m: Tensor<2>) -> Tensor<2> {
    let norm = m.clone().square().sum_dim(1).sqrt();
    m / norm.clamp_min(f32::MIN_POSITIVE)
}

/// Ranks within each row, `[K, B]` -> `[K, B]` in 0..B, ties in order of position.
///
/// rank_i = #{j: x_j < x_i} + #{j < i: x_j = x_i}: no sort, so no read-back on a GPU.
fn ranks(x: Tensor<2>) -> Tensor<2> {
    let [k, b] = x.dims();
    let at_i = x.clone().reshape([k, b, 1]);
    let at_j = x.reshape([k, 1, b]);
    let before = Tensor::<1, Int>::arange(0..b as i64, &at_i.device());
    let before = before.clone().reshape([1, 1, b]).lower(before.reshape([1, b, 1])); // [1, i, j]: j < i
    let below = at_j.clone().lower(at_i.clone());
    let tied = at_j.equal(at_i).bool_and(before.expand([k, b, b]));
    below.bool_or(tied).float().sum_dim(2).reshape([k, b])
}

/// L_SW and the movement, for clean logits `z`, adversarial logits `a` (`[B, C]`) and unit columns `theta` `[C, K]`.
///
/// delta_ik = sort_k(theta_k z)[rank of theta_k a_i] - theta_k a_i. The matching is a permutation of the clean values,
/// here one batched product with its 0/1 matrix, whose gradient is the inverse permutation.
pub fn sliced_wasserstein(z: Tensor<2>, a: Tensor<2>, theta: Tensor<2>) -> Transport {
    let [b, _] = z.dims();
    let [_, k] = theta.dims();
    let project = |t: Tensor<2>| t.matmul(theta.clone()).transpose(); // [K, B]
    let (clean, adversarial) = (project(z), project(a));
    let rank_a = ranks(adversarial.clone().inner()).reshape([k, b, 1]);
    let rank_z = ranks(clean.clone().inner()).reshape([k, 1, b]);
    let matching = rank_a.equal(rank_z).float(); // [k, i, j]: the clean value j is where adversarial i belongs
    let delta = matching.matmul(clean.reshape([k, b, 1])).reshape([k, b]) - adversarial;
    let movement = delta.clone().inner().transpose().matmul(theta.transpose());
    Transport { value: delta.square().mean(), movement }
}

/// `k` projections of R^`classes`: uniform in the cube, scaled to unit length, as columns `[C, K]`.
pub fn projections(rng: &mut Stream, classes: usize, k: usize, device: &Device) -> Tensor<2> {
    directions(rng, k, classes, device).transpose()
}

/// `n` random directions of R^`classes` as unit rows `[n, C]`: uniform in the cube, normalized.
pub fn directions(rng: &mut Stream, n: usize, classes: usize, device: &Device) -> Tensor<2> {
    let values = random::uniform(rng, n * classes, -1.0, 1.0);
    unit_rows(Tensor::from_data(TensorData::new(values, [n, classes]), device))
}
