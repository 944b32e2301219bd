//! Forward and backward pass of a training step, in parts (gradient accumulation) and on one or several devices.

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

/// Output of one part of a batch besides its gradient.
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
    /// Returns the mean gradient of the parts of a batch, and the output and share of each part, in order.
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
        // Device `number` computes every n-th part with its own copy of the model and stores only the sum of the gradients.
        let on_device = |number: usize| -> (Option<Gradient>, Vec<(usize, StepOutput)>) {
            let device = devices[number];
            let model = if number == 0 { self.model.clone() } else { self.model.to_device(device) };
            let model = if config.mixed { model.with_f16_convs() } else { model };
            let (mut sum, mut outputs) = (None, Vec::new());
            for (index, rows) in parts.iter().enumerate().skip(number).step_by(devices.len()) {
                let noise = noise.as_ref().map(|n| n.clone().narrow(0, rows.start, rows.len()).to_device(device));
                let (batch, directions) = (batch.rows(rows.clone(), device), directions.rows(rows.clone(), device));
                let (gradient, output) = self.forward_backward_part(&model, batch, noise, directions);
                let gradient = gradient::scaled(gradient, share(rows));
                sum = Some(match sum {
                    Some(sum) => gradient::sum(sum, gradient),
                    None => gradient,
                });
                outputs.push((index, output.on_device(&self.device)));
            }
            let to_first = |g: Option<Tensor<1>>| g.map(|g| g.to_device(&self.device));
            (sum.map(|sum| sum.into_iter().map(to_first).collect()), outputs)
        };
        let (mut gradient, mut outputs): (Option<Gradient>, Vec<(usize, StepOutput)>) = (None, Vec::new());
        for (sum, computed) in platform::map_in_threads(devices.len(), on_device) {
            gradient = match (gradient, sum) {
                (Some(a), Some(b)) => Some(gradient::sum(a, b)),
                (a, b) => a.or(b),
            };
            outputs.extend(computed);
        }
        outputs.sort_by_key(|(index, _)| *index);
        let outputs = outputs.into_iter().map(|(index, output)| (output, share(&parts[index]))).collect();
        (gradient.unwrap_or_default(), outputs)
    }

    /// Computes the gradient of one part of a batch.
    fn forward_backward_part(
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
        // The attack uses the labels without smoothing.
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
