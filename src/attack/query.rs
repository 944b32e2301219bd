//! What attacks ask of a model, from the host: logits, and gradients with respect to pixels.

use std::cell::Cell;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Classifier, Error};

/// More images at once than any device takes.
const LARGEST: usize = 1 << 16;

/// A model on a device, asked with pixels on the host.
pub struct ModelOracle<'a, M> {
    model: &'a M,
    device: Device,
    /// Channels, height, width of an image.
    pub shape: [usize; 3],
    /// Images that the device takes at once.
    batch: usize,
    forwards: Cell<u64>,
    backwards: Cell<u64>,
    zero_gradients: Cell<usize>,
}

/// `[B, C]` on the host, finite.
pub struct Logits {
    pub classes: usize,
    values: Vec<f32>,
}

impl Logits {
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.classes..(i + 1) * self.classes]
    }

    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.classes)
    }
}

impl<'a, M: Classifier> ModelOracle<'a, M> {
    pub fn new(model: &'a M, device: &Device, shape: [usize; 3], batch: usize) -> Self {
        let batch = batch.clamp(1, LARGEST);
        let (forwards, backwards, zero_gradients) = Default::default();
        Self { model, device: device.clone(), shape, batch, forwards, backwards, zero_gradients }
    }

    /// Numbers in an image.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Images whose logits, and whose gradients, were asked for so far.
    pub fn counts(&self) -> [u64; 2] {
        [self.forwards.get(), self.backwards.get()]
    }

    /// Images on which a gradient attack found nothing to follow at its start.
    pub fn zero_gradients(&self) -> usize {
        self.zero_gradients.get()
    }

    /// Looks for images without any gradient `[B, 3, H, W]`: a sign that the model hides it.
    pub(super) fn check_gradients(&self, gradients: &[f32]) {
        let zero = gradients.chunks(self.values()).filter(|g| g.iter().all(|v| *v == 0.0)).count();
        self.zero_gradients.set(self.zero_gradients.get() + zero);
    }

    fn tensor(&self, x: &[f32]) -> Tensor<4> {
        let [c, h, w] = self.shape;
        Tensor::from_data(TensorData::new(x.to_vec(), [x.len() / self.values(), c, h, w]), &self.device)
    }

    /// The logits of pixels `[B, 3, H, W]`.
    pub async fn logits(&self, x: &[f32]) -> Result<Logits, Error> {
        let mut logits = Logits { classes: 1, values: Vec::new() };
        for x in x.chunks(self.batch * self.values()) {
            let z = self.model.logits(self.tensor(x));
            logits.classes = z.dims()[1];
            logits.values.extend(read(z).await?);
        }
        self.forwards.set(self.forwards.get() + (x.len() / self.values()) as u64);
        Ok(logits)
    }

    /// The logits of pixels `[B, 3, H, W]` and, for each image, the gradient of `cotangent . logits` with respect to its
    /// pixels. `cotangent(i, z, dz)` looks at the logits `z` of image `i` and fills in `dz`, which comes as zeros.
    pub async fn gradient(
        &self,
        x: &[f32],
        mut cotangent: impl FnMut(usize, &[f32], &mut [f32]),
    ) -> Result<(Logits, Vec<f32>), Error> {
        let mut logits = Logits { classes: 1, values: Vec::new() };
        let mut gradients = Vec::with_capacity(x.len());
        for (chunk, x) in x.chunks(self.batch * self.values()).enumerate() {
            let x = self.tensor(x).autodiff().require_grad();
            let output = self.model.logits(x.clone());
            let dims = output.dims();
            let z = read(output.clone().inner()).await?;
            let mut dz = vec![0.0; z.len()];
            for (i, (z, dz)) in z.chunks(dims[1]).zip(dz.chunks_mut(dims[1])).enumerate() {
                cotangent(chunk * self.batch + i, z, dz);
            }
            let dz: Tensor<2> = Tensor::from_data(TensorData::new(dz, dims), &self.device);
            let mut tape = (output * dz).sum().backward();
            match x.grad_remove(&mut tape) {
                Some(gradient) => gradients.extend(read(gradient).await?),
                // The logits do not depend on the pixels in a way that can be differentiated.
                None => gradients.resize(gradients.len() + x.shape().num_elements(), 0.0),
            }
            logits.classes = dims[1];
            logits.values.extend(z);
        }
        let images = (x.len() / self.values()) as u64;
        self.forwards.set(self.forwards.get() + images);
        self.backwards.set(self.backwards.get() + images);
        Ok((logits, gradients))
    }
}

/// A tensor's values on the host, if all are finite.
pub(crate) async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor.into_data_async().await.map_err(|e| Error::Device(format!("{e:?}")))?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    if values.iter().all(|v| v.is_finite()) { Ok(values) } else { Err(Error::NotFinite) }
}
