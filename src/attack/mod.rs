//! Attacks and what they share: the threat model, the margin that they lower, the bookkeeping of each picture's worst.
//!
//! An attack is a small value with its parameters; a model is anything that gives logits. Pixels are in [0,1], epsilon
//! is in the same unit, and models are attacked in inference mode. Nothing here reads back from the device.

pub mod pgd;
pub mod training;

use std::ops::ControlFlow;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::{
    config::Norm,
    loss::cross_entropy::cross_entropy,
    random::{self, Purpose},
};

/// Anything that can be attacked: gives the logits `[B, C]` of pixels `[B, 3, H, W]`, picture by picture, by operations
/// that burn can differentiate.
pub trait Classifier {
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
}

/// d loss / dx at `x`, and the logits there. `loss` must be a sum over pictures, so that each row of the gradient is
/// that of its own picture.
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

/// Where an adversarial picture may lie: in the ball around the original, and among pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threat {
    pub norm: Norm,
    pub epsilon: f32,
}

/// The Euclidean length of each picture, `[B, 1, 1, 1]`.
fn length(d: Tensor<4>) -> Tensor<4> {
    d.square().sum_dims(&[1, 2, 3]).sqrt()
}

impl Threat {
    /// The point of the ball and of [0,1] that is nearest to `x_adv` (L2: nearest in the ball, then clipped), in both
    /// exactly, as float32 computes the difference.
    pub fn project(&self, x_adv: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let epsilon = self.epsilon;
        match self.norm {
            Norm::Linf => {
                let low = x.clone().sub_scalar(epsilon);
                let high = x.clone().add_scalar(epsilon);
                let near = x_adv.max_pair(low).min_pair(high).clamp(0.0, 1.0);
                // x + epsilon is rounded, perhaps outwards: step back by one unit in the last place below 1.
                let outside = (near.clone() - x.clone()).abs().greater_scalar(epsilon).float();
                let back = (near.clone() - x).sign() * outside;
                near - back.mul_scalar(f32::EPSILON / 2.0)
            }
            Norm::L2 => {
                let d = x_adv - x.clone();
                // The slack covers the rounding of the sum of squares.
                let factor = length(d.clone()).clamp_min(f32::MIN_POSITIVE).recip().mul_scalar(epsilon * (1.0 - 1e-6));
                (x + d * factor.clamp_max(1.0)).clamp(0.0, 1.0)
            }
        }
    }

    /// The step of unit size in this norm along which the loss rises fastest.
    pub fn steepest(&self, gradient: Tensor<4>) -> Tensor<4> {
        match self.norm {
            Norm::Linf => gradient.sign(),
            Norm::L2 => gradient.clone() / length(gradient).clamp_min(f32::MIN_POSITIVE),
        }
    }

    /// Displacements drawn uniformly from the ball, `[B, 3, H, W]`, each picture's from its own stream.
    pub fn random(&self, dims: [usize; 4], seed: u64, ids: &[u64], restart: u64, device: &Device) -> Tensor<4> {
        let n = dims[1] * dims[2] * dims[3];
        let mut values = Vec::with_capacity(n * ids.len());
        for id in ids {
            let mut rng = random::stream(seed, Purpose::Attack, (id << 16) | restart);
            match self.norm {
                Norm::Linf => values.extend(random::uniform(&mut rng, n, -self.epsilon, self.epsilon)),
                Norm::L2 => {
                    let direction = random::normal(&mut rng, n);
                    let length = direction.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                    let radius = self.epsilon * random::uniform(&mut rng, 1, 0.0, 1.0)[0].powf(1.0 / n as f32);
                    values.extend(direction.into_iter().map(|v| v * radius / length));
                }
            }
        }
        Tensor::from_data(TensorData::new(values, dims), device)
    }
}

/// What an attack wants of the prediction.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Anything but the label `y`, one-hot `[B, C]`.
    Avoid(Tensor<2>),
    /// The class `t`, one-hot `[B, C]`.
    Reach(Tensor<2>),
}

impl Goal {
    /// What gradient attacks ascend, summed over pictures: the cross-entropy, or its negative towards a target. `[1]`.
    pub fn loss(&self, logits: Tensor<2>) -> Tensor<1> {
        let b = logits.dims()[0] as f32;
        match self {
            Self::Avoid(y) => cross_entropy(logits, y.clone()).mul_scalar(b),
            Self::Reach(t) => cross_entropy(logits, t.clone()).mul_scalar(-b),
        }
    }

    /// How far the attack is from its goal, `[B, 1]`: below 0 it has reached it. For `Avoid`, z_y - max_{j != y} z_j.
    pub fn margin(&self, logits: Tensor<2>) -> Tensor<2> {
        let lead = |y: &Tensor<2>| {
            let own = (logits.clone() * y.clone()).sum_dim(1);
            let others = logits.clone().mask_fill(y.clone().greater_scalar(0.5), f32::MIN);
            own - others.max_dim(1)
        };
        match self {
            Self::Avoid(y) => lead(y),
            Self::Reach(t) => -lead(t),
        }
    }
}

/// Each picture's worst so far: the point of lowest margin that an attack has visited.
pub struct Worst {
    /// `[B, 3, H, W]`.
    pub x: Tensor<4>,
    /// `[B, 1]`.
    pub margin: Tensor<2>,
    /// Which pictures the attack is about: those that the goal was not reached on from the start. `[B, 1]`.
    standing: Tensor<2, Bool>,
}

impl Worst {
    /// Starts from the clean pictures: those that need no attack are never touched.
    pub fn new(x: Tensor<4>, logits: Tensor<2>, goal: &Goal) -> Self {
        let margin = goal.margin(logits);
        Self { x, standing: margin.clone().greater_equal_elem(0.0), margin }
    }

    /// Takes over the pictures of `x` that are worse.
    pub fn offer(&mut self, x: Tensor<4>, logits: Tensor<2>, goal: &Goal) {
        let [b, c, h, w] = x.dims();
        let margin = goal.margin(logits);
        let worse = margin.clone().lower(self.margin.clone()).bool_and(self.standing.clone());
        self.x = self.x.clone().mask_where(worse.clone().reshape([b, 1, 1, 1]).expand([b, c, h, w]), x);
        self.margin = self.margin.clone().mask_where(worse, margin);
    }
}

/// Where an attack is; shown to its observer after each step.
pub struct Progress<'a> {
    /// Steps done of all restarts.
    pub done: usize,
    pub total: usize,
    pub worst: &'a Worst,
}

/// Watches an attack, may let others run meanwhile, and may end it; what was found until then is kept.
pub trait Observer {
    fn step(&mut self, progress: Progress<'_>) -> impl Future<Output = ControlFlow<()>>;
}

/// Does not look.
impl Observer for () {
    async fn step(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
