//! Looks at a run's model as it is: on held-out images, on the batch of the last step, on the image in view.

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use super::{
    CommandError,
    training::{Run, diverged, refuse},
    watch::Line,
};
use crate::{
    attack::inner::{noise, perturb},
    batch::{one_hot, pixels_of},
    data::{ImageSet, to_unit_range},
    explore::{embedding::Embedding, layers, probe::LatentPath, transport},
    loss::{Objective, ObjectiveConfig},
    model::{Model, Pass},
    prediction::{seen, top},
    protocol::{BatchPreview, ErrorScope, RunSnapshot, TrackedImage},
    random::{self, StreamId},
    settings::Pixels,
};

/// Images that a look judges the model by, and the steps of the attack on them.
pub(super) const HELD_OUT: usize = 64;
const LOOK_ATTACK: usize = 10;
/// Of those, attacked at once: few, so that a command does not wait long.
const CHUNK: usize = 16;
/// Images that span the plane of the latents; cells along each side of its map; projections of a batch's transport.
pub(super) const REFERENCE: usize = 200;
const CELLS: usize = 48;
const PROJECTIONS: usize = 32;
/// Images of a batch that are shown.
const SHOWN: usize = 8;

/// Of an attack or a view.
fn lost(error: crate::attack::Error) -> CommandError {
    match error {
        crate::attack::Error::Device(text) => CommandError(ErrorScope::Device, text),
        crate::attack::Error::NotFinite => diverged("The model's outputs are no longer finite"),
        error => refuse(error),
    }
}

impl Run {
    /// Looks at the model as it is; none if another command comes meanwhile.
    pub(super) async fn look(
        &self,
        image: Option<&(Vec<f32>, Option<usize>)>,
        gpu: bool,
        device: &Device,
        line: &mut Line<'_>,
    ) -> Result<Option<RunSnapshot>, CommandError> {
        let mut right = [0usize; 2];
        for ids in (0..self.held_out.len()).collect::<Vec<_>>().chunks(if gpu { HELD_OUT } else { CHUNK }) {
            let labels: Vec<usize> = ids.iter().map(|&i| usize::from(self.held_out.labels[i])).collect();
            let x = pixels_of(&self.held_out.select(ids).pixels, device);
            let [z, a, _] = self.pair(&x, &labels, device).await?;
            let c = self.trainer.final_model().classes;
            for ((z, a), label) in z.chunks(c).zip(a.chunks(c)).zip(labels) {
                let clean = seen(z, label) == label;
                right[0] += usize::from(clean);
                right[1] += usize::from(clean && seen(a, label) == label);
            }
            if line.tell(None).await.is_break() {
                return Ok(None);
            }
        }
        let [clean, robust] = right.map(|n| n as f32 / self.held_out.len() as f32);
        let batch = self.seen(device).await?;
        let followed = match image {
            Some((x, label)) => Some(self.follow(x, *label, device).await?),
            None => None,
        };
        Ok(Some(RunSnapshot { step: self.trainer.step, clean, robust, batch, followed }))
    }

    /// Logits `[B, C]` of images with these labels, of the images attacked within the radius of training, and those
    /// images, `[B, 3, 32, 32]`. The attack stays on the device.
    async fn pair(&self, x: &Tensor<4>, labels: &[usize], device: &Device) -> Result<[Vec<f32>; 3], CommandError> {
        let model = self.trainer.final_model();
        let radius = self.trainer.config.coefficients.train_epsilon;
        let attack = ObjectiveConfig {
            train_epsilon: radius,
            train_step: Pixels(radius.0 / 4.0),
            train_steps: LOOK_ATTACK,
            ..ObjectiveConfig::default()
        };
        let mut rng = random::stream(self.trainer.config.seed, StreamId::Attack, u64::MAX);
        let y = one_hot(labels, model.classes, device);
        let noise = noise(x.dims(), &attack, &mut rng, device);
        let x_adv = perturb(model, x, &y, Objective::Pgd, &attack, noise);
        read([logits(model, x), logits(model, &x_adv), flat(&x_adv)]).await
    }

    /// The batch of the last step.
    async fn seen(&self, device: &Device) -> Result<Option<BatchPreview>, CommandError> {
        let Some((batch, x_adv)) = &self.trainer.last else { return Ok(None) };
        let model = self.trainer.final_model();
        let c = model.classes;
        let n = SHOWN.min(batch.x.dims()[0]);
        let first = |x: &Tensor<4>| flat(&x.clone().narrow(0, 0, n));
        let y = batch.y.clone().reshape([-1]);
        let [z, a, x, twins, y] =
            read([logits(model, &batch.x), logits(model, x_adv), first(&batch.x), first(x_adv), y]).await?;
        let transport = match self.trainer.config.objective.needs_attack() {
            true => {
                let theta = transport::projections(self.trainer.step, c, PROJECTIONS, device).await.map_err(lost)?;
                Some(transport::compute_transport(&z, &a, &theta, c).map_err(lost)?)
            }
            false => None,
        };
        let tops = |rows: &[f32]| rows.chunks(c).take(n).map(|row| top(row) as u16).collect();
        let bytes = |x: Vec<f32>| x.into_iter().map(|v| (255.0 * v).round() as u8).collect();
        let (labels, clean, attacked) = (tops(&y), tops(&z), tops(&a));
        Ok(Some(BatchPreview { x: bytes(x), x_adv: bytes(twins), labels, clean, attacked, transport }))
    }

    /// What the model makes of an image, as its class `label` or, if that is not known, the class that it sees.
    async fn follow(&self, x: &[f32], label: Option<usize>, device: &Device) -> Result<TrackedImage, CommandError> {
        let model = self.trainer.final_model();
        let pixels: Tensor<4> = Tensor::from_data(TensorData::new(x.to_vec(), [1, 3, 32, 32]), device);
        let label = match label.filter(|&label| label < model.classes) {
            Some(label) => label,
            None => {
                let [z] = read([logits(model, &pixels)]).await?;
                top(&z)
            }
        };
        let [z, a, x_adv] = self.pair(&pixels, &[label], device).await?;
        let shifts = layers::layer_shifts(model, device, x, &x_adv).await.map_err(lost)?;
        let ImageSet { pixels, labels, .. } = &self.reference;
        let reference = Embedding::new(model, device, &to_unit_range(pixels), labels, CELLS).await.map_err(lost)?;
        let path = reference.project(model, device, &[x, &x_adv].concat()).await.map_err(lost)?;
        let way = LatentPath { reference, path };
        Ok(TrackedImage { clean: super::softmax(&z), attacked: super::softmax(&a), shifts, way })
    }
}

fn logits(model: &Model, x: &Tensor<4>) -> Tensor<1> {
    model.forward(x.clone(), &mut Pass::inference()).logits.value.reshape([-1])
}

fn flat(x: &Tensor<4>) -> Tensor<1> {
    x.clone().reshape([-1])
}

/// Reads several tensors back at once.
async fn read<const N: usize>(tensors: [Tensor<1>; N]) -> Result<[Vec<f32>; N], CommandError> {
    let read = tensors.into_iter().fold(Transaction::default(), |t, tensor| t.register(tensor));
    let data = read.execute_async().await.map_err(|e| CommandError(ErrorScope::Device, format!("{e:?}")))?;
    let mut data = data.into_iter().map(|data| data.iter::<f32>().collect());
    Ok(std::array::from_fn(|_| data.next().unwrap_or_default()))
}
