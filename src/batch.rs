//! Batches of images on a device.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, to_unit_range};

/// Images and labels on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Pixels in [0,1], `[B, 3, 32, 32]`.
    pub x: Tensor<4>,
    /// Labels `[B, C]`: one-hot, or for mixed images weights that sum to 1.
    pub y: Tensor<2>,
}

impl Batch {
    /// Makes a batch of the images `ids` of a data set.
    pub fn new(images: &ImageSet, ids: &[usize], device: &Device) -> Self {
        let pixels: Vec<u8> = ids.iter().flat_map(|&i| images.image(i)).copied().collect();
        let labels: Vec<usize> = ids.iter().map(|&i| images.labels[i] as usize).collect();
        Self { x: pixels_of(&pixels, device), y: one_hot(&labels, images.classes.len(), device) }
    }

    /// Returns a range of the batch on a device.
    pub fn rows(&self, rows: Range<usize>, device: &Device) -> Self {
        let (from, n) = (rows.start, rows.len());
        let (x, y) = (self.x.clone().narrow(0, from, n), self.y.clone().narrow(0, from, n));
        Self { x: x.to_device(device), y: y.to_device(device) }
    }

    /// Applies label smoothing: spreads the fraction `share` of the weight over all classes (Szegedy et al., 2016, sec.
    /// 7).
    pub fn smoothed(&self, share: f32) -> Self {
        let c = self.y.dims()[1];
        let y = self.y.clone();
        let y = if share > 0.0 { y.mul_scalar(1.0 - share).add_scalar(share / c as f32) } else { y };
        Self { x: self.x.clone(), y }
    }
}

/// Divides the rows of a batch of `b` into `n` contiguous parts of almost equal size; into `b` parts if `b < n`.
pub fn parts(b: usize, n: usize) -> Vec<Range<usize>> {
    let n = n.clamp(1, b.max(1));
    (0..n).map(|i| i * b / n..(i + 1) * b / n).collect()
}

/// Converts bytes `[B, 3, 32, 32]` to pixels in [0,1].
pub fn pixels_of(bytes: &[u8], device: &Device) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(to_unit_range(bytes), [bytes.len() / IMAGE_LEN, 3, IMAGE_SIZE, IMAGE_SIZE]),
        device,
    )
}

/// Returns the labels one-hot encoded, `[B, classes]`.
///
/// # Panics
/// If a label is not below `classes`.
pub fn one_hot(labels: &[usize], classes: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0f32; labels.len() * classes];
    for (i, &label) in labels.iter().enumerate() {
        values[i * classes + label] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device)
}
