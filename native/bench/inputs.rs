//! Work done once, here and in the page (see `web.rs`).

use burn::tensor::Tensor;
use otjr::{
    attack::inner,
    data::{IMAGE_LEN, ImageSet},
    loss::cross_entropy::cross_entropy,
    model::Model,
    random::{self, RngExt, StreamId},
};

pub const CLASSES: usize = 10;
/// Of everything random.
pub const SEED: u64 = 0;

/// Images of noise with labels at random.
pub fn noise(n: usize, classes: usize) -> ImageSet {
    let mut rng = random::stream(SEED, StreamId::Synthetic, 0);
    ImageSet {
        pixels: (0..n * IMAGE_LEN).map(|_| rng.random()).collect(),
        labels: (0..n).map(|_| rng.random_range(0..classes as u16)).collect(),
        classes: (0..classes).map(|class| class.to_string()).collect(),
    }
}

/// Of the cross-entropy in the pixels `x` `[B, 3, 32, 32]` with one-hot labels `y` `[B, C]`, summed over images.
pub fn input_gradient(model: &Model, x: &Tensor<4>, y: &Tensor<2>) -> Tensor<4> {
    let images = x.dims()[0] as f32;
    inner::input_gradient(model, x.clone(), |z| cross_entropy(z, y.clone()).mul_scalar(images)).0
}
