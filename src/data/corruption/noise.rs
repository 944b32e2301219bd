//! Independent noise on each value of an image `[3, IMAGE_SIZE, IMAGE_SIZE]`, which is in [0,1] before.

use crate::random::{RngExt, Stream, normal, poisson};

/// Adds normal noise with the given standard deviation.
pub(super) fn gaussian(image: &mut [f32], deviation: f32, rng: &mut Stream) {
    let noise = normal(rng, image.len());
    for (value, noise) in image.iter_mut().zip(noise) {
        *value += deviation * noise;
    }
}

/// Simulates photon noise: replaces each value by a Poisson count with mean `photons * value`, divided by `photons`.
pub(super) fn shot(image: &mut [f32], photons: f32, rng: &mut Stream) {
    for value in image {
        *value = poisson(rng, *value * photons) / photons;
    }
}

/// Sets each value to 0 or 1 with the given probability (salt-and-pepper noise).
pub(super) fn impulse(image: &mut [f32], probability: f32, rng: &mut Stream) {
    for value in image {
        let (replace, white) = (rng.random::<f32>() < probability, rng.random::<bool>());
        if replace {
            *value = f32::from(u8::from(white));
        }
    }
}
