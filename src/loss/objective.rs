//! The nine objectives: which forward passes each takes and how its terms add up.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::{Objective, ObjectiveConfig, cross_entropy::*, jacobian, sinkhorn, sliced_wasserstein as sw};
use crate::{
    batch::Batch,
    model::{Model, Pass, dual::Dual},
    random::Stream,
};

/// The random directions of one step.
pub struct Directions {
    /// Projections, unit columns `[C, K]`.
    pub theta: Tensor<2>,
    /// Directions of the random Jacobian penalty, unit rows `[B, C]`.
    pub v: Tensor<2>,
}

impl Directions {
    pub fn draw(rng: &mut Stream, batch: usize, classes: usize, projections: usize, device: &Device) -> Self {
        let theta = sw::projections(rng, classes, projections, device);
        Self { theta, v: sw::directions(rng, batch, classes, device) }
    }

    /// Those of a part of the batch, on a device: the same projections.
    pub fn rows(&self, rows: Range<usize>, device: &Device) -> Self {
        let v = self.v.clone().narrow(0, rows.start, rows.len());
        Self { theta: self.theta.clone().to_device(device), v: v.to_device(device) }
    }
}

/// The parts of a loss, each `[1]` and outside autodiff; absent where an objective has no such part.
#[derive(Clone, Default)]
pub struct LossTerms {
    pub total: Option<Tensor<1>>,
    /// Cross-entropy on whatever images the objective classifies.
    pub ce: Option<Tensor<1>>,
    /// The distance between clean and adversarial logits (L_SW, KL, pairing or Sinkhorn), before its coefficient.
    pub distance: Option<Tensor<1>>,
    /// R, before its coefficient.
    pub jacobian: Option<Tensor<1>>,
}

impl LossTerms {
    /// Those that there are, in the order of the fields.
    pub fn present(&self) -> impl Iterator<Item = Tensor<1>> {
        [&self.total, &self.ce, &self.distance, &self.jacobian].into_iter().flatten().cloned()
    }

    pub fn to_device(&self, device: &Device) -> Self {
        let moved = |term: &Option<Tensor<1>>| Some(term.clone()?.to_device(device));
        let [total, ce] = [&self.total, &self.ce].map(moved);
        Self { total, ce, distance: moved(&self.distance), jacobian: moved(&self.jacobian) }
    }

    /// The mean over the parts of a batch, each with its share.
    pub fn mean<'a>(parts: impl Iterator<Item = (&'a Self, f32)>) -> Self {
        let scaled = |(terms, share): (&Self, f32)| {
            let scale = |term: &Option<Tensor<1>>| {
                let term = term.clone()?;
                Some(if share == 1.0 { term } else { term.mul_scalar(share) })
            };
            [scale(&terms.total), scale(&terms.ce), scale(&terms.distance), scale(&terms.jacobian)]
        };
        let add = |[a, b]: [Option<Tensor<1>>; 2]| Some(a? + b?);
        let sum =
            parts.map(scaled).reduce(|[a, b, c, d], [e, f, g, h]| [add([a, e]), add([b, f]), add([c, g]), add([d, h])]);
        let [total, ce, distance, jacobian] = sum.unwrap_or_default();
        Self { total, ce, distance, jacobian }
    }
}

/// The loss of one batch, ready for `backward`.
pub struct ObjectiveOutput {
    /// `[1]`, differentiable in the tracked parameters of `model`.
    pub loss: Tensor<1>,
    pub terms: LossTerms,
    /// The tracked copy of the model that the loss was computed with.
    pub model: Model,
    /// The passes in the reference's order, clean then adversarial, for the running statistics: with `head_only` none
    /// has any.
    pub passes: Vec<Pass>,
}

/// Evaluates an objective on a batch and its adversarial image `x_adv`, with batch normalization in training mode; with
/// `head_only` as a function of the last layer alone, in inference mode.
///
/// `x_adv` may be anything for objectives that do not look at it (see [`Objective::needs_attack`]).
pub fn compute(
    objective: Objective,
    config: &ObjectiveConfig,
    model: &Model,
    batch: &Batch,
    x_adv: &Tensor<4>,
    directions: &Directions,
    head_only: bool,
) -> ObjectiveOutput {
    let tracked = model.tracked(head_only);
    let [first, repeated]: [fn() -> Pass; 2] =
        if head_only { [Pass::inference; 2] } else { [Pass::training, Pass::training_frozen_stats] };
    let y = || batch.y.clone();
    let mut passes = Vec::new();
    let mut forward = |model: &Model, x: Tensor<4>| {
        let mut pass = first();
        let logits = model.forward(x, &mut pass).logits.value;
        passes.push(pass);
        logits
    };

    // The Jacobian term needs the clean logits twice: as a function of the pixels, for u, then with the tangent J u as a
    // function of the parameters. The other objectives take the clean logits once.
    let along_transport = matches!(objective, Objective::SwJac | Objective::Otjr);
    let has_jacobian = along_transport || objective == Objective::RandJac;
    let pixels = batch.x.clone().autodiff().require_grad();
    let z = match objective {
        Objective::Pgd => None,
        _ if has_jacobian => Some(forward(model, pixels.clone())),
        _ => Some(forward(&tracked, batch.x.clone())),
    };
    let a = objective.needs_attack().then(|| match objective {
        // Only the direction u is made of them.
        Objective::SwJac => forward(model, x_adv.clone()).autodiff(),
        _ => forward(&tracked, x_adv.clone()),
    });

    let (z, penalty) = match z {
        Some(z) if has_jacobian => {
            let v = match &a {
                Some(a) if along_transport => {
                    sw::sliced_wasserstein(z.clone().inner(), a.clone().inner(), directions.theta.clone()).direction()
                }
                _ => directions.v.clone(),
            };
            let u = jacobian::pull_back(z, &pixels, v.clone());
            let dual = tracked.forward(Dual::new(batch.x.clone(), u.clone()), &mut repeated()).logits;
            let tangent = dual.tangent.expect("the input has a tangent");
            (Some(dual.value), Some(jacobian::penalty(u, v, tangent)))
        }
        z => (z, None),
    };

    let clean = || z.clone().expect("the objective has a clean pass");
    let adversarial = || a.clone().expect("the objective has an adversarial pass");
    let transport = || sw::sliced_wasserstein(clean(), adversarial(), directions.theta.clone()).value;
    let (ce, distance) = match objective {
        Objective::Ce | Objective::RandJac | Objective::SwJac => (cross_entropy(clean(), y()), None),
        Objective::Pgd => (cross_entropy(adversarial(), y()), None),
        Objective::Trades => {
            (cross_entropy(clean(), y()), Some((config.beta_trades, kl_divergence(clean(), adversarial()))))
        }
        Objective::Alp => {
            let ce = (cross_entropy(clean(), y()) + cross_entropy(adversarial(), y())).mul_scalar(0.5);
            (ce, Some((config.beta_alp, logit_pairing(clean(), adversarial()))))
        }
        Objective::Sinkhorn => {
            let distance = sinkhorn::divergence(clean(), adversarial());
            (cross_entropy(adversarial(), y()), Some((config.lambda_sinkhorn, distance)))
        }
        Objective::Sw | Objective::Otjr => (cross_entropy(adversarial(), y()), Some((config.lambda_sw, transport()))),
    };

    let mut terms = LossTerms { ce: Some(ce.clone().inner()), ..LossTerms::default() };
    let mut loss = ce;
    if let Some((coefficient, distance)) = distance {
        terms.distance = Some(distance.clone().inner());
        loss = loss + distance.mul_scalar(coefficient);
    }
    if let Some(penalty) = penalty {
        terms.jacobian = Some(penalty.clone().inner());
        loss = loss + penalty.mul_scalar(config.lambda_jac);
    }
    terms.total = Some(loss.clone().inner());
    ObjectiveOutput { loss, terms, model: tracked, passes }
}
