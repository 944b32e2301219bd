//! Training. A [`Trainer`] contains the state of a run; callers alternate [`Trainer::step`] and [`Trainer::records`].
//!
//! The state consists of weights, velocities and the number of steps done. Random numbers are a function of seed and step.
//! Therefore a run resumed from a checkpoint gives exactly the same results as an uninterrupted run.

mod checkpoint;
mod config;
pub mod cost;
mod gradient;
mod optimizer;
mod sampler;
pub mod schedule;
mod step;
pub mod validation;

use std::sync::Arc;

use burn::tensor::{Device, ExecutionError, Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    data::{IMAGE_SIZE, ImageSet},
    loss::objective::LossTerms,
    model::{self, Model, head, parameter::Arrays},
};
pub use checkpoint::{check_run, config_of, own_of};
pub use config::{Schedule, TrainConfig};
use optimizer::Sgd;

/// Log record of one training step. Terms that the objective does not have are `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1.
    pub step: u64,
    /// From 1.
    pub epoch: u64,
    pub rate: f32,
    pub loss: f32,
    pub ce: f32,
    /// Distance between clean and adversarial logits, before its coefficient.
    #[serde(default)]
    pub distance: Option<f32>,
    /// The Jacobian penalty R, before its coefficient.
    #[serde(default)]
    pub jacobian: Option<f32>,
}

/// Reason why training cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::Error),
    #[error("the device failed: {0:?}")]
    Device(ExecutionError),
    #[error("training diverged, the loss is {loss} at step {step}: lower the learning rate or the coefficients")]
    Diverged { step: u64, loss: f32 },
    #[error("there are {0} training images: at least 2 are needed")]
    TooFewImages(usize),
    #[error("the training images are all of one class: at least 2 classes are needed")]
    OneClass,
    #[error("the model knows {expected} classes, the data set has {found}")]
    Classes { expected: usize, found: usize },
    #[error(
        "class {number} is '{of_run}' in the run and '{found}' in the data set: give the images that it began with"
    )]
    ClassNames { number: usize, of_run: String, found: String },
}

/// The state of a run.
pub struct Trainer {
    pub config: TrainConfig,
    /// Trained model.
    pub model: Model,
    /// Exponential moving average of the weights and running statistics, if enabled.
    ema: Option<Model>,
    pub classes: Vec<String>,
    /// Images that the user added to the data set for this run; checkpoints contain them.
    pub user_images: ImageSet,
    /// Extra images of the same classes, from which a fraction of each batch is drawn; may be empty.
    pub extra_data: Arc<ImageSet>,
    /// Further devices for data parallelism. Each computes an equal part of every batch with its own batch statistics; the
    /// gradients are averaged.
    pub replicas: Vec<Device>,
    /// The batch of the last step, augmented, and its adversarial image.
    pub last: Option<(Batch, Tensor<4>)>,
    optimizer: Sgd,
    /// Steps done.
    pub step: u64,
    device: Device,
    /// Steps whose terms have not been read back.
    pending: Vec<(u64, f32, LossTerms)>,
}

impl Trainer {
    /// Starts a run with fresh weights.
    ///
    /// # Errors
    /// If the data set is too small or the model is invalid.
    pub fn new(config: &TrainConfig, data: &ImageSet, device: &Device) -> Result<Self, Error> {
        check(data)?;
        let normalization = config.normalize.then(|| channel_statistics(data));
        let model = Model::new(config.model, data.classes.len(), normalization, config.seed, device)?;
        Self::with_model(config, model, data, device)
    }

    /// Starts a run from `model`, whose architecture and normalization override those of `config`.
    ///
    /// # Errors
    /// If the data set is too small or has another number of classes.
    pub fn with_model(config: &TrainConfig, model: Model, data: &ImageSet, device: &Device) -> Result<Self, Error> {
        check(data)?;
        if model.classes != data.classes.len() {
            return Err(Error::Classes { expected: model.classes, found: data.classes.len() });
        }
        Ok(Self {
            config: TrainConfig { model: model.architecture, normalize: model.is_normalized(), ..config.clone() },
            model,
            ema: None,
            classes: data.classes.clone(),
            user_images: ImageSet::default(),
            extra_data: Arc::default(),
            replicas: Vec::new(),
            last: None,
            optimizer: Sgd::default(),
            step: 0,
            device: device.clone(),
            pending: Vec::new(),
        })
    }

    /// A run that begins with the weights of a model that is known by its `arrays` and the names of its classes. Rows of
    /// its last layer for classes that it does not know ([`head::reusable_rows`]) begin anew.
    ///
    /// # Errors
    /// If the arrays are no network known here.
    pub fn fine_tune(
        config: &TrainConfig,
        arrays: Arrays,
        known: &[String],
        data: &ImageSet,
        device: &Device,
    ) -> Result<Self, Error> {
        let arrays = head::resize(arrays, head::reusable_rows(known, &data.classes), data.classes.len(), config.seed)?;
        Self::with_model(config, Model::from_arrays(&arrays, device)?, data, device)
    }

    /// Returns the model to evaluate and save: the EMA if enabled, otherwise the trained model.
    pub fn final_model(&self) -> &Model {
        self.ema.as_ref().unwrap_or(&self.model)
    }

    /// Updates the EMA. The decay is lower in the first steps, so that the initial weights are forgotten sooner.
    fn update_ema(&mut self) {
        if self.config.average == 0.0 {
            self.ema = None;
            return;
        }
        let done = self.step as f32;
        let decay = self.config.average.min((1.0 + done) / (10.0 + done));
        let ema = self.ema.get_or_insert_with(|| self.model.clone());
        for (average, latest) in ema.named_tensors().into_iter().zip(self.model.named_tensors()) {
            average.set_flat(average.flat().mul_scalar(decay) + latest.flat().mul_scalar(1.0 - decay));
        }
    }

    /// Changes the batch size; the position in the epochs stays.
    pub fn set_batch(&mut self, batch: usize, data: &ImageSet) {
        let before = self.steps(data);
        self.config.batch = batch;
        // The same share of the run; exact when nothing changes.
        self.step = (u128::from(self.step) * u128::from(self.steps(data)) / u128::from(before.max(1))) as u64;
    }

    /// Returns the batch size: the configured one, or the number of images if that is smaller.
    pub fn batch_size(&self, data: &ImageSet) -> usize {
        self.config.batch.min(data.len())
    }

    /// Returns the number of steps of the run. An incomplete last batch of an epoch is dropped.
    pub fn steps(&self, data: &ImageSet) -> u64 {
        self.config.epochs as u64 * (data.len() / self.batch_size(data)) as u64
    }

    /// Performs one optimizer step. On a GPU the work is only enqueued; [`Trainer::records`] reads the results.
    pub fn step(&mut self, data: &ImageSet) {
        let size = self.batch_size(data);
        let batch = sampler::draw(&self.config, [data, &self.extra_data], self.step, size, &self.device);
        let config = &self.config;
        let (mut gradient, parts) = self.forward_backward(&batch);
        let x_adv = parts.iter().map(|(part, _)| part.x_adv.clone()).collect();
        let terms = LossTerms::mean(parts.iter().map(|(part, share)| (&part.terms, *share)));
        parts.into_iter().flat_map(|(part, _)| part.passes).for_each(|pass| self.model.update_running(pass));
        if config.clip > 0.0 {
            gradient = gradient::clip(gradient, config.clip);
        }
        let rate = config.rate * schedule::factor(config, self.step, self.steps(data));
        self.optimizer.step(&mut self.model, gradient, rate, config);
        self.step += 1;
        self.update_ema();
        self.pending.push((self.step, rate, terms));
        self.last = Some((batch, Tensor::cat(x_adv, 0)));
    }

    /// Reads the records of the steps since the last call, in one transfer.
    ///
    /// # Errors
    /// If training diverged or the device failed.
    pub async fn records(&mut self, data: &ImageSet) -> Result<Vec<Record>, Error> {
        if self.pending.is_empty() {
            return Ok(Vec::new());
        }
        let per_epoch = (data.len() / self.batch_size(data)) as u64;
        let pending = std::mem::take(&mut self.pending);
        let scalars: Vec<Tensor<1>> = pending.iter().flat_map(|(_, _, terms)| terms.present()).collect();
        let data = Tensor::cat(scalars, 0).into_data_async().await.map_err(Error::Device)?;
        let mut values = data.iter::<f32>();
        let mut records = Vec::new();
        for (step, rate, terms) in pending {
            let mut next = |term: &Option<Tensor<1>>| term.as_ref().and_then(|_| values.next());
            let loss = next(&terms.total).unwrap_or(f32::NAN);
            let ce = next(&terms.ce).unwrap_or(f32::NAN);
            let (distance, jacobian) = (next(&terms.distance), next(&terms.jacobian));
            if !loss.is_finite() {
                return Err(Error::Diverged { step, loss });
            }
            records.push(Record { step, epoch: (step - 1) / per_epoch + 1, rate, loss, ce, distance, jacobian });
        }
        Ok(records)
    }
}

/// Checks that the data set has at least two images and two classes.
fn check(data: &ImageSet) -> Result<(), Error> {
    match data.labels.as_slice() {
        few @ ([] | [_]) => Err(Error::TooFewImages(few.len())),
        [first, others @ ..] if others.iter().all(|label| label == first) => Err(Error::OneClass),
        _ => Ok(()),
    }
}

/// Mean and standard deviation of each channel, pixels in [0,1].
fn channel_statistics(data: &ImageSet) -> [[f32; 3]; 2] {
    let mut sums = [[0f64; 3]; 2];
    for (i, plane) in data.pixels.chunks_exact(IMAGE_SIZE * IMAGE_SIZE).enumerate() {
        for value in plane.iter().map(|&v| v as f64 / 255.0) {
            sums[0][i % 3] += value;
            sums[1][i % 3] += value * value;
        }
    }
    let n = (data.len() * IMAGE_SIZE * IMAGE_SIZE) as f64;
    let mean = sums[0].map(|s| s / n);
    let std: [f64; 3] = std::array::from_fn(|c| (sums[1][c] / n - mean[c] * mean[c]).max(1e-12).sqrt());
    [mean.map(|v| v as f32), std.map(|v| v as f32)]
}
