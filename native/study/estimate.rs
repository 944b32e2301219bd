//! How far L_SW from a few projections is from the distance that infinitely many would give.

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    loss::sliced_wasserstein as sw,
    random::{self, Stream, StreamId},
};
use serde::{Deserialize, Serialize};

/// Logits at once, as in training.
const BATCH: usize = 128;
/// Numbers of projections.
pub const COUNTS: [usize; 6] = [1, 4, 16, 32, 64, 256];
/// Numbers of classes.
const CLASSES: [usize; 3] = [2, 10, 100];
/// Draws of each.
const DRAWS: u64 = 30;
/// Projections of the reference, drawn in as many goes.
const REFERENCE: [usize; 2] = [256, 20];

/// For one number of classes.
#[derive(Serialize, Deserialize)]
pub struct Estimates {
    pub classes: usize,
    /// The mean of L_SW over all draws of the largest count, with directions of the cube as training draws them, relative
    /// to that with directions of the sphere.
    pub cube: f64,
    /// For each of [`COUNTS`], the standard deviation of the estimate over the draws, relative to the distance.
    pub deviations: Vec<f64>,
}

/// Between logits that are standard normal and the same ones moved by half as much, on the CPU.
pub fn all() -> Vec<Estimates> {
    let device = &Device::flex();
    let estimate = |classes| {
        let mut rng = random::stream(0, StreamId::Directions, classes as u64);
        let logits =
            |values: Vec<f32>| -> Tensor<2> { Tensor::from_data(TensorData::new(values, [BATCH, classes]), device) };
        let z = logits(random::normal(&mut rng, BATCH * classes));
        let a = z.clone() + logits(random::normal(&mut rng, BATCH * classes)).mul_scalar(0.5);
        let value = |theta: Tensor<2>| -> f64 {
            sw::sliced_wasserstein(z.clone(), a.clone(), theta).value.into_data().iter::<f64>().sum()
        };
        let [projections, goes] = REFERENCE;
        let sphere: Vec<f64> =
            (0..goes).map(|_| value(on_the_sphere(&mut rng, classes, projections, device))).collect();
        let (distance, _) = spread(&sphere);
        let (mut deviations, mut cube) = (Vec::new(), 0.0);
        for k in COUNTS {
            let drawn = |draw| {
                let mut rng = random::stream(draw, StreamId::Directions, k as u64);
                value(sw::projections(&mut rng, classes, k, device))
            };
            let (mean, deviation) = spread(&(0..DRAWS).map(drawn).collect::<Vec<_>>());
            cube = mean / distance;
            deviations.push(deviation / distance);
        }
        Estimates { classes, cube, deviations }
    };
    CLASSES.into_iter().map(estimate).collect()
}

/// Unit columns `[C, K]`, every direction as likely as every other.
fn on_the_sphere(rng: &mut Stream, classes: usize, k: usize, device: &Device) -> Tensor<2> {
    let normal: Tensor<2> = Tensor::from_data(TensorData::new(random::normal(rng, k * classes), [classes, k]), device);
    normal.clone() / normal.square().sum_dim(0).sqrt()
}

/// Mean and standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}
