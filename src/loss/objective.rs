//! The nine objectives. Each is a function that computes its forward passes and adds up its terms, as in its paper.
//!
//! Notation: z clean logits, a adversarial logits, both `[B, C]`; y labels `[B, C]`.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::{Objective, ObjectiveConfig, cross_entropy::*, jacobian, sinkhorn, sliced_wasserstein as sw};
use crate::{
    batch::Batch,
    model::{Model, Pass, dual::Dual},
    random::Stream,
};

/// Random directions of one training step.
pub struct Directions {
    /// Projections of the sliced Wasserstein distance, unit columns `[C, K]`.
    pub theta: Tensor<2>,
    /// Directions of the random Jacobian penalty, unit rows `[B, C]`.
    pub v: Tensor<2>,
}

impl Directions {
    /// Draws `projections` (K) projections and a direction for each image.
    pub fn draw(rng: &mut Stream, batch: usize, classes: usize, projections: usize, device: &Device) -> Self {
        let theta = sw::projections(rng, classes, projections, device);
        Self { theta, v: sw::directions(rng, batch, classes, device) }
    }

    /// Returns the directions of some rows of the batch on `device`, with all projections.
    pub fn rows(&self, rows: Range<usize>, device: &Device) -> Self {
        let v = self.v.clone().narrow(0, rows.start, rows.len());
        Self { theta: self.theta.clone().to_device(device), v: v.to_device(device) }
    }
}

/// Terms of a loss, each `[1]` and detached; `None` where an objective has no such term.
#[derive(Clone, Default)]
pub struct LossTerms {
    /// The loss.
    pub total: Option<Tensor<1>>,
    /// Cross-entropy.
    pub ce: Option<Tensor<1>>,
    /// Distance between clean and adversarial logits (L_SW, KL, pairing or Sinkhorn), without its coefficient.
    pub distance: Option<Tensor<1>>,
    /// Jacobian penalty R, without its coefficient.
    pub jacobian: Option<Tensor<1>>,
}

impl LossTerms {
    /// Returns the terms that the objective has, in the order of the fields.
    pub fn present(&self) -> impl Iterator<Item = Tensor<1>> {
        [&self.total, &self.ce, &self.distance, &self.jacobian].into_iter().flatten().cloned()
    }

    /// Copies the terms to `device`.
    pub fn to_device(&self, device: &Device) -> Self {
        self.map(|term| term.to_device(device))
    }

    /// Returns the mean of the terms of the parts of a batch, each weighted by its share of the images.
    pub fn mean<'a>(parts: impl Iterator<Item = (&'a Self, f32)>) -> Self {
        let weighted =
            parts.map(|(terms, share)| terms.map(|term| if share == 1.0 { term } else { term.mul_scalar(share) }));
        weighted.reduce(Self::plus).unwrap_or_default()
    }

    fn map(&self, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        let apply = |term: &Option<Tensor<1>>| term.clone().map(&f);
        Self {
            total: apply(&self.total),
            ce: apply(&self.ce),
            distance: apply(&self.distance),
            jacobian: apply(&self.jacobian),
        }
    }

    fn plus(self, other: Self) -> Self {
        let add = |a: Option<Tensor<1>>, b: Option<Tensor<1>>| Some(a? + b?);
        Self {
            total: add(self.total, other.total),
            ce: add(self.ce, other.ce),
            distance: add(self.distance, other.distance),
            jacobian: add(self.jacobian, other.jacobian),
        }
    }
}

/// Loss of one batch, ready for `backward`.
pub struct ObjectiveOutput {
    /// `[1]`, differentiable in the tracked parameters of `model`.
    pub loss: Tensor<1>,
    /// Values of the terms.
    pub terms: LossTerms,
    /// The tracked copy of the model that computed the loss.
    pub model: Model,
    /// Training passes that update the running statistics, clean first, then adversarial. With `head_only` they contain
    /// no statistics.
    pub passes: Vec<Pass>,
}

/// Computes the loss of an objective on a batch and its adversarial images `x_adv` `[B, 3, H, W]`.
///
/// Batch normalization is in training mode. With `head_only` it is in inference mode and only the last layer is tracked.
/// `x_adv` is ignored by objectives without adversarial images (see [`Objective::needs_attack`]).
pub fn compute(
    objective: Objective,
    config: &ObjectiveConfig,
    model: &Model,
    batch: &Batch,
    x_adv: &Tensor<4>,
    directions: &Directions,
    head_only: bool,
) -> ObjectiveOutput {
    let mut forward =
        Forward { model, tracked: model.tracked(head_only), batch, x_adv, directions, head_only, passes: Vec::new() };
    let terms = match objective {
        Objective::Ce => standard(&mut forward),
        Objective::Pgd => adversarial_training(&mut forward),
        Objective::Trades => trades(&mut forward, config),
        Objective::Alp => logit_pairing_training(&mut forward, config),
        Objective::Sinkhorn => sinkhorn_training(&mut forward, config),
        Objective::Sw => sliced_wasserstein_training(&mut forward, config),
        Objective::RandJac => random_jacobian(&mut forward, config),
        Objective::SwJac => transport_jacobian(&mut forward, config),
        Objective::Otjr => otjr(&mut forward, config),
    };
    let Forward { tracked, passes, .. } = forward;
    terms.sum(tracked, passes)
}

/// CE(z, y): training without a defense.
fn standard(f: &mut Forward) -> WeightedTerms {
    let z = f.clean();
    WeightedTerms::new(f.cross_entropy(z))
}

/// CE(a, y): adversarial training (Madry et al., 2018, eq. 2.1).
fn adversarial_training(f: &mut Forward) -> WeightedTerms {
    let a = f.adversarial();
    WeightedTerms::new(f.cross_entropy(a))
}

/// CE(z, y) + beta KL(z || a): TRADES (Zhang et al., 2019, eq. 3).
fn trades(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let (z, a) = (f.clean(), f.adversarial());
    WeightedTerms::new(f.cross_entropy(z.clone())).with_distance(config.beta_trades, kl_divergence(z, a))
}

/// (CE(z, y) + CE(a, y)) / 2 + beta |z - a|^2: adversarial logit pairing (Kannan et al., 2018).
fn logit_pairing_training(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let (z, a) = (f.clean(), f.adversarial());
    let ce = (f.cross_entropy(z.clone()) + f.cross_entropy(a.clone())).mul_scalar(0.5);
    WeightedTerms::new(ce).with_distance(config.beta_alp, logit_pairing(z, a))
}

/// CE(a, y) + lambda S(z, a) with the Sinkhorn divergence S: SAT (Bouniot et al., 2021).
fn sinkhorn_training(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let (z, a) = (f.clean(), f.adversarial());
    let distance = sinkhorn::divergence(z, a.clone());
    WeightedTerms::new(f.cross_entropy(a)).with_distance(config.lambda_sinkhorn, distance)
}

/// CE(a, y) + lambda_SW L_SW(z, a): OTJR (<https://arxiv.org/abs/2303.11793>) without its Jacobian term.
fn sliced_wasserstein_training(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let (z, a) = (f.clean(), f.adversarial());
    let distance = f.sliced_wasserstein(z, a.clone()).value;
    WeightedTerms::new(f.cross_entropy(a)).with_distance(config.lambda_sw, distance)
}

/// CE(z, y) + lambda_R R along random directions: Jacobian regularization (Hoffman et al., 2019).
fn random_jacobian(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let clean = f.clean_by_pixels();
    let v = f.directions.v.clone();
    let (z, penalty) = f.jacobian_penalty(clean, v);
    WeightedTerms::new(f.cross_entropy(z)).with_jacobian(config.lambda_jac, penalty)
}

/// CE(z, y) + lambda_R R along the optimal trajectories: OTJR without its transport term.
fn transport_jacobian(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let clean = f.clean_by_pixels();
    let a = f.adversarial_untracked();
    let v = f.sliced_wasserstein(clean.z.clone().inner(), a).direction();
    let (z, penalty) = f.jacobian_penalty(clean, v);
    WeightedTerms::new(f.cross_entropy(z)).with_jacobian(config.lambda_jac, penalty)
}

/// CE(a, y) + lambda_SW L_SW(z, a) + lambda_R R along the optimal trajectories: OTJR (Le, Tariq and Woo, "Bridging Optimal
/// Transport and Jacobian Regularization by Optimal Trajectory for Enhanced Adversarial Defense",
/// <https://arxiv.org/abs/2303.11793>).
fn otjr(f: &mut Forward, config: &ObjectiveConfig) -> WeightedTerms {
    let clean = f.clean_by_pixels();
    let a = f.adversarial();
    let v = f.sliced_wasserstein(clean.z.clone().inner(), a.clone().inner()).direction();
    let (z, penalty) = f.jacobian_penalty(clean, v);
    let ce = f.cross_entropy(a.clone());
    let distance = f.sliced_wasserstein(z, a).value;
    WeightedTerms::new(ce).with_distance(config.lambda_sw, distance).with_jacobian(config.lambda_jac, penalty)
}

/// Forward passes that the objectives share.
struct Forward<'a> {
    model: &'a Model,
    tracked: Model,
    batch: &'a Batch,
    x_adv: &'a Tensor<4>,
    directions: &'a Directions,
    head_only: bool,
    passes: Vec<Pass>,
}

/// Clean logits as a function of the pixels instead of the parameters.
struct CleanByPixels {
    /// `[B, C]`.
    z: Tensor<2>,
    /// Tracked pixels `[B, 3, H, W]`.
    x: Tensor<4>,
}

impl Forward<'_> {
    /// Computes the clean logits z with the tracked parameters.
    fn clean(&mut self) -> Tensor<2> {
        let (z, pass) = self.pass(&self.tracked, self.batch.x.clone());
        self.passes.push(pass);
        z
    }

    /// Computes the clean logits z as a function of the pixels.
    fn clean_by_pixels(&mut self) -> CleanByPixels {
        let x = self.batch.x.clone().autodiff().require_grad();
        let (z, pass) = self.pass(self.model, x.clone());
        self.passes.push(pass);
        CleanByPixels { z, x }
    }

    /// Computes the adversarial logits a with the tracked parameters.
    fn adversarial(&mut self) -> Tensor<2> {
        let (a, pass) = self.pass(&self.tracked, self.x_adv.clone());
        self.passes.push(pass);
        a
    }

    /// Computes the adversarial logits a without a gradient.
    fn adversarial_untracked(&mut self) -> Tensor<2> {
        let (a, pass) = self.pass(self.model, self.x_adv.clone());
        self.passes.push(pass);
        a
    }

    fn pass(&self, model: &Model, x: Tensor<4>) -> (Tensor<2>, Pass) {
        let mut pass = if self.head_only { Pass::inference() } else { Pass::training() };
        let logits = model.forward(x, &mut pass).logits.value;
        (logits, pass)
    }

    fn cross_entropy(&self, logits: Tensor<2>) -> Tensor<1> {
        cross_entropy(logits, self.batch.y.clone())
    }

    fn sliced_wasserstein(&self, z: Tensor<2>, a: Tensor<2>) -> sw::Transport {
        sw::sliced_wasserstein(z, a, self.directions.theta.clone())
    }

    /// Returns the clean logits as a function of the tracked parameters and the penalty R along directions v `[B, C]`.
    fn jacobian_penalty(&self, clean: CleanByPixels, v: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let u = jacobian::pull_back(clean.z, &clean.x, v.clone());
        // The pass with a tangent repeats the clean pass: its statistics are not recorded twice.
        let mut pass = if self.head_only { Pass::inference() } else { Pass::training_frozen_stats() };
        let dual = self.tracked.forward(Dual::new(self.batch.x.clone(), u.clone()), &mut pass).logits;
        // Logits without a tangent do not depend on the pixels.
        let tangent = dual.tangent.unwrap_or_else(|| dual.value.zeros_like());
        (dual.value, jacobian::penalty(u, v, tangent))
    }
}

/// Differentiable terms of a loss with their coefficients.
struct WeightedTerms {
    ce: Tensor<1>,
    distance: Option<(f32, Tensor<1>)>,
    jacobian: Option<(f32, Tensor<1>)>,
}

impl WeightedTerms {
    fn new(ce: Tensor<1>) -> Self {
        Self { ce, distance: None, jacobian: None }
    }

    fn with_distance(self, coefficient: f32, distance: Tensor<1>) -> Self {
        Self { distance: Some((coefficient, distance)), ..self }
    }

    fn with_jacobian(self, coefficient: f32, penalty: Tensor<1>) -> Self {
        Self { jacobian: Some((coefficient, penalty)), ..self }
    }

    /// Adds the terms up, in the order of the fields.
    fn sum(self, model: Model, passes: Vec<Pass>) -> ObjectiveOutput {
        let mut terms = LossTerms { ce: Some(self.ce.clone().inner()), ..LossTerms::default() };
        let mut loss = self.ce;
        if let Some((coefficient, distance)) = self.distance {
            terms.distance = Some(distance.clone().inner());
            loss = loss + distance.mul_scalar(coefficient);
        }
        if let Some((coefficient, penalty)) = self.jacobian {
            terms.jacobian = Some(penalty.clone().inner());
            loss = loss + penalty.mul_scalar(coefficient);
        }
        terms.total = Some(loss.clone().inner());
        ObjectiveOutput { loss, terms, model, passes }
    }
}
