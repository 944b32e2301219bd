//! Inputs and work that the native benchmark and the one for the browser (`web.rs`) share.

use burn::tensor::Tensor;
use otjr::{
    attack::inner,
    data::{IMAGE_LEN, ImageSet},
    loss::cross_entropy::cross_entropy,
    model::Model,
    random::{self, RngExt, StreamId},
};

/// Number of classes of the generated labels.
pub const CLASSES: usize = 10;
/// Seed of all random numbers.
pub const SEED: u64 = 0;

/// Returns images of random noise with random labels.
pub fn noise(n: usize, classes: usize) -> ImageSet {
    let mut rng = random::stream(SEED, StreamId::Synthetic, 0);
    ImageSet {
        pixels: (0..n * IMAGE_LEN).map(|_| rng.random()).collect(),
        labels: (0..n).map(|_| rng.random_range(0..classes as u16)).collect(),
        classes: (0..classes).map(|class| class.to_string()).collect(),
    }
}

/// Returns the gradient of the cross-entropy, summed over the images, with respect to the pixels `x` `[B, 3, 32, 32]`,
/// for one-hot labels `y` `[B, C]`.
pub fn input_gradient(model: &Model, x: &Tensor<4>, y: &Tensor<2>) -> Tensor<4> {
    let images = x.dims()[0] as f32;
    inner::input_gradient(model, x.clone(), |z| cross_entropy(z, y.clone()).mul_scalar(images)).0
}
