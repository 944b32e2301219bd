//! Error of L_SW with few projections, compared with many.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    loss::sliced_wasserstein as sw,
    random::{self, Stream, StreamId},
};
use serde::{Deserialize, Serialize};

/// Batch size, as in training.
const BATCH: usize = 128;
/// Numbers of projections.
pub const COUNTS: [usize; 6] = [1, 4, 16, 32, 64, 256];
/// Numbers of classes.
const CLASSES: [usize; 3] = [2, 10, 100];
/// Random draws for each number of projections.
const DRAWS: u64 = 30;
/// Projections of the reference in each batch, and number of batches.
const REFERENCE: [usize; 2] = [256, 20];

/// Results for one number of classes.
#[derive(Serialize, Deserialize)]
pub struct Estimates {
    pub classes: usize,
    /// Mean of L_SW over the draws with the most projections, with directions from the cube (as in training), relative
    /// to that with directions from the sphere.
    pub cube: f64,
    /// Standard deviation of L_SW over the draws for each of [`COUNTS`], relative to the distance.
    pub deviations: Vec<f64>,
}

/// Computes the estimates for all numbers of classes, on the CPU.
pub fn all() -> Vec<Estimates> {
    CLASSES.into_iter().map(|classes| estimate(classes, &Device::flex())).collect()
}

/// L_SW is computed between standard normal logits and the same logits plus normal noise of standard deviation 0.5.
fn estimate(classes: usize, device: &Device) -> Estimates {
    let mut rng = random::stream(0, StreamId::Directions, classes as u64);
    let logits =
        |values: Vec<f32>| -> Tensor<2> { Tensor::from_data(TensorData::new(values, [BATCH, classes]), device) };
    let z = logits(random::normal(&mut rng, BATCH * classes));
    let a = z.clone() + logits(random::normal(&mut rng, BATCH * classes)).mul_scalar(0.5);
    let distance_along = |theta: Tensor<2>| -> f64 {
        sw::sliced_wasserstein(z.clone(), a.clone(), theta).value.into_data().iter::<f64>().sum()
    };
    let [projections, batches] = REFERENCE;
    let sphere: Vec<f64> =
        (0..batches).map(|_| distance_along(on_the_sphere(&mut rng, classes, projections, device))).collect();
    let (distance, _) = mean_and_deviation(&sphere);
    let (mut deviations, mut cube) = (Vec::new(), 0.0);
    for k in COUNTS {
        let sample = |draw| {
            let mut rng = random::stream(draw, StreamId::Directions, k as u64);
            distance_along(sw::projections(&mut rng, classes, k, device))
        };
        let (mean, deviation) = mean_and_deviation(&(0..DRAWS).map(sample).collect::<Vec<_>>());
        cube = mean / distance;
        deviations.push(deviation / distance);
    }
    Estimates { classes, cube, deviations }
}

/// Returns unit columns `[C, K]`, uniformly distributed on the sphere.
fn on_the_sphere(rng: &mut Stream, classes: usize, k: usize, device: &Device) -> Tensor<2> {
    let normal: Tensor<2> = Tensor::from_data(TensorData::new(random::normal(rng, k * classes), [classes, k]), device);
    normal.clone() / normal.square().sum_dim(0).sqrt()
}

/// Returns the mean and the standard deviation.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}
