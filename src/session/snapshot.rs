//! Evaluates a run's model during training: on held-out images, on the batch of the last step and on the current image.

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use super::{
    CommandError,
    progress::JobReporter,
    softmax,
    training::{Run, diverged, training_error},
};
use crate::{
    attack::{
        self,
        inner::{noise, perturb},
    },
    batch::{one_hot, pixels_of},
    data::to_unit_range,
    explore::{embedding::Embedding, layers, probe::LatentPath, transport},
    loss::{Objective, ObjectiveConfig},
    model::{Model, Pass},
    prediction::{seen, top},
    protocol::{BatchPreview, ErrorScope, RunSnapshot, TrackedImage},
    random::{self, StreamId},
    settings::Pixels,
};

/// Number of held-out images that a snapshot evaluates.
pub(super) const HELD_OUT: usize = 64;
/// Steps of the attack on them.
const ATTACK_STEPS: usize = 10;
/// Batch size on the CPU. Commands can arrive only between two batches, so it is small.
const CPU_BATCH: usize = 16;
/// Number of held-out images in the embedding.
pub(super) const EMBEDDING_IMAGES: usize = 200;
/// Cells per side of the embedding's class map.
const MAP_CELLS: usize = 48;
/// Number of projections of the batch's transport.
const PROJECTIONS: usize = 32;
/// Number of images of the batch preview.
const PREVIEW_IMAGES: usize = 8;

/// The current image, to be tracked during training.
pub(super) struct TrackedInput {
    /// `[3, 32, 32]` in [0,1].
    pub x: Vec<f32>,
    /// Its class, if known.
    pub label: Option<usize>,
}

/// Images under the model in training, read back from the device.
struct AdversarialPair {
    /// `[B, C]`
    clean_logits: Vec<f32>,
    /// `[B, C]`
    adversarial_logits: Vec<f32>,
    /// `[B, 3, 32, 32]` in [0,1].
    adversarial_images: Vec<f32>,
}

fn snapshot_error(error: attack::Error) -> CommandError {
    match error {
        attack::Error::Device(message) => CommandError::new(ErrorScope::Device, message),
        attack::Error::NotFinite => diverged("The model's outputs are no longer finite"),
        error => training_error(error),
    }
}

impl Run {
    /// Evaluates the current model. Returns `None` if a later command cancels it.
    pub(super) async fn snapshot(
        &self,
        image: Option<&TrackedInput>,
        gpu: bool,
        device: &Device,
        reporter: &mut JobReporter,
    ) -> Result<Option<RunSnapshot>, CommandError> {
        let (mut correct, mut robust) = (0, 0);
        let classes = self.trainer.final_model().classes;
        let ids: Vec<usize> = (0..self.held_out.len()).collect();
        for ids in ids.chunks(if gpu { HELD_OUT } else { CPU_BATCH }) {
            let labels: Vec<usize> = ids.iter().map(|&i| usize::from(self.held_out.labels[i])).collect();
            let x = pixels_of(&self.held_out.select(ids).pixels, device);
            let pair = self.attack(&x, &labels, device).await?;
            let logits = pair.clean_logits.chunks(classes).zip(pair.adversarial_logits.chunks(classes));
            for ((clean, adversarial), label) in logits.zip(labels) {
                if seen(clean, label) == label {
                    correct += 1;
                    robust += usize::from(seen(adversarial, label) == label);
                }
            }
            if reporter.report(None).await.is_break() {
                return Ok(None);
            }
        }
        let share = |count: usize| count as f32 / self.held_out.len() as f32;
        let batch = self.batch_preview(device).await?;
        let tracked = match image {
            Some(image) => Some(self.track(image, device).await?),
            None => None,
        };
        Ok(Some(RunSnapshot { step: self.trainer.step, clean: share(correct), robust: share(robust), batch, tracked }))
    }

    /// Attacks images `[B, 3, 32, 32]` within the training radius. The attack does not read from the device.
    async fn attack(&self, x: &Tensor<4>, labels: &[usize], device: &Device) -> Result<AdversarialPair, CommandError> {
        let model = self.trainer.final_model();
        let radius = self.trainer.config.coefficients.train_epsilon;
        let config = ObjectiveConfig {
            train_epsilon: radius,
            train_step: Pixels(radius.0 / 4.0),
            train_steps: ATTACK_STEPS,
            ..ObjectiveConfig::default()
        };
        let mut rng = random::stream(self.trainer.config.seed, StreamId::Attack, u64::MAX);
        let y = one_hot(labels, model.classes, device);
        let noise = noise(x.dims(), &config, &mut rng, device);
        let x_adv = perturb(model, x, &y, Objective::Pgd, &config, noise);
        let tensors = [logits(model, x), logits(model, &x_adv), flatten(&x_adv)];
        let [clean_logits, adversarial_logits, adversarial_images] = read(tensors).await?;
        Ok(AdversarialPair { clean_logits, adversarial_logits, adversarial_images })
    }

    /// Evaluates the batch of the last step.
    async fn batch_preview(&self, device: &Device) -> Result<Option<BatchPreview>, CommandError> {
        let Some((batch, x_adv)) = &self.trainer.last else { return Ok(None) };
        let model = self.trainer.final_model();
        let classes = model.classes;
        let shown = PREVIEW_IMAGES.min(batch.x.dims()[0]);
        let first_images = |x: &Tensor<4>| flatten(&x.clone().narrow(0, 0, shown));
        let [clean_logits, adversarial_logits, images, adversarial_images, y] = read([
            logits(model, &batch.x),
            logits(model, x_adv),
            first_images(&batch.x),
            first_images(x_adv),
            batch.y.clone().reshape([-1]),
        ])
        .await?;
        let transport = if self.trainer.config.objective.needs_attack() {
            let theta = transport::projections(self.trainer.step, classes, PROJECTIONS, device)
                .await
                .map_err(snapshot_error)?;
            let transport = transport::compute_transport(&clean_logits, &adversarial_logits, &theta, classes);
            Some(transport.map_err(snapshot_error)?)
        } else {
            None
        };
        let largest = |rows: &[f32]| rows.chunks(classes).take(shown).map(|row| top(row) as u16).collect();
        let bytes = |x: Vec<f32>| x.into_iter().map(|v| (255.0 * v).round() as u8).collect();
        Ok(Some(BatchPreview {
            images: bytes(images),
            adversarial_images: bytes(adversarial_images),
            labels: largest(&y),
            clean_predictions: largest(&clean_logits),
            adversarial_predictions: largest(&adversarial_logits),
            transport,
        }))
    }

    /// Evaluates the current image. Without a label, the attack starts from the predicted class.
    async fn track(&self, image: &TrackedInput, device: &Device) -> Result<TrackedImage, CommandError> {
        let model = self.trainer.final_model();
        let x: Tensor<4> = Tensor::from_data(TensorData::new(image.x.clone(), [1, 3, 32, 32]), device);
        let label = match image.label.filter(|&label| label < model.classes) {
            Some(label) => label,
            None => {
                let [logits] = read([logits(model, &x)]).await?;
                top(&logits)
            }
        };
        let pair = self.attack(&x, &[label], device).await?;
        let x_adv = &pair.adversarial_images;
        let shifts = layers::layer_shifts(model, device, &image.x, x_adv).await.map_err(snapshot_error)?;
        let embedding_images = to_unit_range(&self.embedding_images.pixels);
        let reference = Embedding::new(model, device, &embedding_images, &self.embedding_images.labels, MAP_CELLS)
            .await
            .map_err(snapshot_error)?;
        let images = [&image.x[..], x_adv].concat();
        let path = reference.project(model, device, &images).await.map_err(snapshot_error)?;
        Ok(TrackedImage {
            clean: softmax(&pair.clean_logits),
            adversarial: softmax(&pair.adversarial_logits),
            shifts,
            latents: LatentPath { reference, path },
        })
    }
}

fn logits(model: &Model, x: &Tensor<4>) -> Tensor<1> {
    model.forward(x.clone(), &mut Pass::inference()).logits.value.reshape([-1])
}

fn flatten(x: &Tensor<4>) -> Tensor<1> {
    x.clone().reshape([-1])
}

/// Reads several tensors from the device in one transaction.
async fn read<const N: usize>(tensors: [Tensor<1>; N]) -> Result<[Vec<f32>; N], CommandError> {
    let mut transaction = Transaction::default();
    for tensor in tensors {
        transaction = transaction.register(tensor);
    }
    let data =
        transaction.execute_async().await.map_err(|e| CommandError::new(ErrorScope::Device, format_args!("{e:?}")))?;
    let mut data = data.into_iter().map(|data| data.iter::<f32>().collect());
    Ok(std::array::from_fn(|_| data.next().unwrap_or_default()))
}
