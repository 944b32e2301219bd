//! Noise on each value of an image `[3, IMAGE_SIZE, IMAGE_SIZE]`, in [0,1] before it.

use crate::random::{RngExt, Stream, normal, poisson};

/// Adds normal noise of a standard deviation: a sensor in low light.
pub fn gaussian(x: &mut [f32], deviation: f32, rng: &mut Stream) {
    let noise = normal(rng, x.len());
    x.iter_mut().zip(noise).for_each(|(v, n)| *v += deviation * n);
}

/// Counts light in particles, of which white has so many on average.
pub fn shot(x: &mut [f32], particles: f32, rng: &mut Stream) {
    x.iter_mut().for_each(|v| *v = poisson(rng, *v * particles) / particles);
}

/// Sets a share of the values to 0 or 1, as broken bits do.
pub fn impulse(x: &mut [f32], share: f32, rng: &mut Stream) {
    for v in x {
        let (hit, white) = (rng.random::<f32>() < share, rng.random::<bool>());
        if hit {
            *v = f32::from(u8::from(white));
        }
    }
}
