//! Analyses of how a model represents images. They return numbers; the page draws the charts.
//!
//! Images are `[3, 32, 32]` with pixels in [0,1], and batches are flat slices on the host. Models run in inference
//! mode. Results are plain data that the worker sends to the page.

pub mod embedding;
pub mod jacobian;
pub mod landscape;
pub mod layers;
pub mod margin_curve;
pub mod pca;
pub mod probe;
pub mod transport;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    attack::Error,
    data::{IMAGE_LEN, IMAGE_SIZE},
};

/// Copies images to the device, `[B, 3, 32, 32]`.
fn tensor(x: &[f32], device: &Device) -> Result<Tensor<4>, Error> {
    if x.is_empty() || !x.len().is_multiple_of(IMAGE_LEN) {
        return Err(Error::Unsuited(format!(
            "{} values do not form images of 3 x {IMAGE_SIZE} x {IMAGE_SIZE}",
            x.len()
        )));
    }
    Ok(Tensor::from_data(TensorData::new(x.to_vec(), [x.len() / IMAGE_LEN, 3, IMAGE_SIZE, IMAGE_SIZE]), device))
}

/// Returns the dot product, computed in float64.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// Returns the cosine similarity of two vectors; `None` if one of them is 0.
fn cosine(a: &[f32], b: &[f32]) -> Option<f32> {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    (lengths > 0.0).then(|| (dot(a, b) / lengths).clamp(-1.0, 1.0) as f32)
}
