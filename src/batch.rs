//! ImageSet on a device.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, to_unit_range};

/// Pixels in [0,1] `[B, 3, 32, 32]` and labels `[B, C]`, one-hot or, where images are mixed, shares that sum to 1.
#[derive(Clone, Debug)]
pub struct Batch {
    pub x: Tensor<4>,
    pub y: Tensor<2>,
}

impl Batch {
    /// The images `ids` of a set.
    pub fn new(images: &ImageSet, ids: &[usize], device: &Device) -> Self {
        let pixels: Vec<u8> = ids.iter().flat_map(|&i| images.image(i)).copied().collect();
        let labels: Vec<usize> = ids.iter().map(|&i| images.labels[i] as usize).collect();
        Self { x: pixels_of(&pixels, device), y: one_hot(&labels, images.classes.len(), device) }
    }

    /// A part of it, on a device.
    pub fn rows(&self, rows: Range<usize>, device: &Device) -> Self {
        let (from, n) = (rows.start, rows.len());
        let (x, y) = (self.x.clone().narrow(0, from, n), self.y.clone().narrow(0, from, n));
        Self { x: x.to_device(device), y: y.to_device(device) }
    }

    /// The same images, with a share of the labels' weight spread over all classes (Szegedy et al., 2016, sec. 7).
    pub fn smoothed(&self, share: f32) -> Self {
        let c = self.y.dims()[1];
        let y = self.y.clone();
        let y = if share > 0.0 { y.mul_scalar(1.0 - share).add_scalar(share / c as f32) } else { y };
        Self { x: self.x.clone(), y }
    }
}

/// The rows of a batch of `b` in `n` parts as equal as can be, in order; fewer parts if there are fewer rows.
pub fn parts(b: usize, n: usize) -> Vec<Range<usize>> {
    let n = n.clamp(1, b.max(1));
    (0..n).map(|i| i * b / n..(i + 1) * b / n).collect()
}

/// Bytes `[B, 3, 32, 32]` as pixels in [0,1].
pub fn pixels_of(bytes: &[u8], device: &Device) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(to_unit_range(bytes), [bytes.len() / IMAGE_LEN, 3, IMAGE_SIZE, IMAGE_SIZE]),
        device,
    )
}

/// Labels, each below `classes`, as rows of zeros and a one.
pub fn one_hot(labels: &[usize], classes: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0f32; labels.len() * classes];
    for (i, &label) in labels.iter().enumerate() {
        values[i * classes + label] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device)
}
