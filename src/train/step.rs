//! What a batch says of how to move the weights: the gradient of the objective, computed part by part, on one device or
//! on several at once.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::{
    Trainer,
    gradient::{self, Gradient},
};
use crate::{
    attack::inner,
    batch::{Batch, parts},
    loss::objective::{Directions, LossTerms, compute},
    model::{Model, Pass},
    platform,
    random::{self, StreamId},
};

/// What one part of a batch gave beside its gradient.
pub(super) struct StepOutput {
    pub terms: LossTerms,
    /// For the running statistics.
    pub passes: Vec<Pass>,
    pub x_adv: Tensor<4>,
}

impl StepOutput {
    fn on_device(self, device: &Device) -> Self {
        Self {
            terms: self.terms.to_device(device),
            passes: self.passes.into_iter().map(|pass| pass.on_device(device)).collect(),
            x_adv: self.x_adv.to_device(device),
        }
    }
}

impl Trainer {
    /// The mean of the gradients of a batch's parts, and what else each of them gives, with its share of the batch, in order.
    pub(super) fn forward_backward(&self, batch: &Batch) -> (Gradient, Vec<(StepOutput, f32)>) {
        let (config, size) = (&self.config, batch.x.dims()[0]);
        let stream = |purpose| random::stream(config.seed, purpose, self.step);
        let noise = || inner::noise(batch.x.dims(), &config.coefficients, &mut stream(StreamId::Attack), &self.device);
        let noise = config.objective.needs_attack().then(noise);
        let k = config.coefficients.projections;
        let directions = Directions::draw(&mut stream(StreamId::Directions), size, batch.y.dims()[1], k, &self.device);

        let devices: Vec<&Device> = [&self.device].into_iter().chain(&self.replicas).collect();
        let parts = parts(size, config.accumulate * devices.len());
        let share = |rows: &Range<usize>| rows.len() as f32 / size as f32;
        // Each device takes every so many parts, with a copy of the model, and holds the sum of their gradients alone.
        let learn = |number: usize| -> (Option<Gradient>, Vec<StepOutput>) {
            let device = devices[number];
            let model = if number == 0 { self.model.clone() } else { self.model.to_device(device) };
            let model = if config.mixed { model.with_f16_convs() } else { model };
            let (mut sum, mut learned) = (None, Vec::new());
            for rows in parts.iter().skip(number).step_by(devices.len()) {
                let noise = noise.as_ref().map(|n| n.clone().narrow(0, rows.start, rows.len()).to_device(device));
                let (batch, directions) = (batch.rows(rows.clone(), device), directions.rows(rows.clone(), device));
                let (gradient, part) = self.learn_part(&model, batch, noise, directions);
                let gradient = gradient::scaled(gradient, share(rows));
                sum = Some(match sum {
                    Some(sum) => gradient::sum(sum, gradient),
                    None => gradient,
                });
                learned.push(part.on_device(&self.device));
            }
            let home = |g: Option<Tensor<1>>| g.map(|g| g.to_device(&self.device));
            (sum.map(|sum| sum.into_iter().map(home).collect()), learned)
        };
        let (sums, learned): (Vec<_>, Vec<_>) = platform::map_in_threads(devices.len(), learn).into_iter().unzip();
        let mut learned: Vec<_> = learned.into_iter().map(Vec::into_iter).collect();
        let parts = parts.iter().enumerate();
        let parts = parts.filter_map(|(i, rows)| Some((learned[i % devices.len()].next()?, share(rows)))).collect();
        (sums.into_iter().flatten().reduce(gradient::sum).unwrap_or_default(), parts)
    }

    /// What a part of a batch says of how to move the weights of `model`.
    fn learn_part(
        &self,
        model: &Model,
        batch: Batch,
        noise: Option<Tensor<4>>,
        directions: Directions,
    ) -> (Gradient, StepOutput) {
        let config = &self.config;
        let (objective, coefficients) = (config.objective, &config.coefficients);
        let x_adv = match noise {
            Some(noise) => inner::perturb(model, &batch.x, &batch.y, objective, coefficients, noise),
            None => batch.x.clone(),
        };
        // The attack knows the true labels.
        let batch = batch.smoothed(config.label_smoothing);
        let evaluate =
            |model: &Model| compute(objective, coefficients, model, &batch, &x_adv, &directions, config.head_only);
        let mut evaluation = evaluate(model);
        let mut gradient = gradient::from_output(&mut evaluation);
        if config.awp > 0.0 {
            evaluation = evaluate(&gradient::perturb(model, &gradient, config.awp));
            gradient = gradient::from_output(&mut evaluation);
        }
        (gradient, StepOutput { terms: evaluation.terms, passes: evaluation.passes, x_adv })
    }
}
