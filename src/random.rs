//! Seeded randomness that is the same on every backend and target.
//!
//! Every random number of a run is drawn on the host from a ChaCha8 stream that is named by what it is for:
//! `(seed, purpose, index)`. Nothing depends on how many numbers were drawn before, so a resumed run needs no stored
//! generator state, and an attack on an image does not depend on the batch it happens to be in.

use rand::SeedableRng;
pub use rand::{Rng, RngExt};
pub use rand_chacha::ChaCha8Rng as Stream;
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal};

/// What a stream of random numbers is for. The discriminants are part of the checkpoint format: never renumber them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum StreamId {
    /// Initial weights; index = 0, or of the rows for a class that a model did not know: 1 and 2 more than twice its number.
    Weights = 1,
    /// The order of the images in an epoch; index = epoch.
    Order = 2,
    /// Crops and flips; index = step.
    Augmentation = 3,
    /// What is random in an attack; index = image and run (see `attack::stream`) or step (training).
    Attack = 4,
    /// Projections of the sliced Wasserstein distance and random Jacobian directions; index = step.
    Directions = 5,
    /// The embedded data set; index = image.
    Synthetic = 6,
    /// The class that a targeted attack aims at; index = image.
    Target = 7,
    /// Images from a second data set; index = step.
    Extra = 8,
    /// Pairs of images to mix, and their share; index = step.
    Mixup = 9,
    /// Corruptions of images; index = 256 times the image and the corruption's place among its kind.
    Corruption = 10,
}

/// The stream for `purpose` number `index` under `seed`.
pub fn stream(seed: u64, purpose: StreamId, index: u64) -> Stream {
    // Key = (seed, purpose); ChaCha's own stream number = index. 2^64 streams a key, none overlapping.
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    let mut rng = Stream::from_seed(key);
    rng.set_stream(index);
    rng
}

/// `n` draws of the standard normal distribution.
pub fn normal(rng: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| StandardNormal.sample(rng)).collect()
}

/// `n` draws of the exponential distribution with mean 1.
pub fn exponential(rng: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| Exp1.sample(rng)).collect()
}

/// `n` draws, uniform in `[low, high)`.
pub fn uniform(rng: &mut Stream, n: usize, low: f32, high: f32) -> Vec<f32> {
    (0..n).map(|_| low + (high - low) * rng.random::<f32>()).collect()
}

/// A draw of the Poisson distribution; 0 if `mean` is not above 0.
pub fn poisson(rng: &mut Stream, mean: f32) -> f32 {
    Poisson::new(mean).map_or(0.0, |distribution| distribution.sample(rng))
}
