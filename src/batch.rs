//! Pictures on a device.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{Pictures, SIDE, VALUES};

/// Pixels in [0,1] `[B, 3, 32, 32]` and one-hot labels `[B, C]`.
#[derive(Clone, Debug)]
pub struct Batch {
    pub x: Tensor<4>,
    pub y: Tensor<2>,
}

impl Batch {
    /// The pictures `ids` of a set.
    pub fn new(pictures: &Pictures, ids: &[usize], device: &Device) -> Self {
        let pixels: Vec<u8> = ids.iter().flat_map(|&i| pictures.picture(i)).copied().collect();
        let labels: Vec<usize> = ids.iter().map(|&i| pictures.labels[i] as usize).collect();
        Self { x: pixels_of(&pixels, device), y: one_hot(&labels, pictures.classes.len(), device) }
    }
}

/// Bytes `[B, 3, 32, 32]` as pixels in [0,1].
pub fn pixels_of(bytes: &[u8], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = bytes.iter().map(|&v| v as f32 / 255.0).collect();
    Tensor::from_data(TensorData::new(values, [bytes.len() / VALUES, 3, SIDE, SIDE]), device)
}

/// Labels, each below `classes`, as rows of zeros and a one.
pub fn one_hot(labels: &[usize], classes: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0f32; labels.len() * classes];
    for (i, &label) in labels.iter().enumerate() {
        values[i * classes + label] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device)
}
