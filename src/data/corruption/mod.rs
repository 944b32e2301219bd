//! Common corruptions at five severities, after CIFAR-10-C: Hendrycks and Dietterich, "Benchmarking Neural Network
//! Robustness to Common Corruptions and Perturbations", ICLR 2019, arXiv:1903.12261.
//!
//! The severities are those of the authors' `make_cifar_c.py` (github.com/hendrycks/robustness), but the images differ
//! from CIFAR-10-C:
//!
//! - The random draws are different.
//! - Values are rounded instead of truncated.
//! - Every blur repeats the border pixels outside the image.
//! - JPEG keeps the colors at full resolution.
//! - Twelve of the nineteen kinds are implemented, those that need neither photos of frost nor other libraries.
//!
//! Therefore compare models with each other, not with published tables.

mod blur;
mod color;
mod digital;
mod fog;
mod noise;

use super::{IMAGE_LEN, to_unit_range};
use crate::{
    random::{RngExt, StreamId, stream},
    settings::choices,
};

/// Number of severities: they are 1 (weakest) to 5.
pub const SEVERITIES: usize = 5;

choices! {
    /// Common corruptions, named as in CIFAR-10-C. Their order determines the random numbers: append new ones at the
    /// end.
    pub enum Corruption {
        /// Gaussian noise, as from a sensor in low light.
        GaussianNoise = "gaussian_noise",
        /// Photon (Poisson) noise.
        ShotNoise = "shot_noise",
        /// Salt-and-pepper noise.
        ImpulseNoise = "impulse_noise",
        /// Gaussian blur.
        GaussianBlur = "gaussian_blur",
        /// Blur of a lens out of focus.
        DefocusBlur = "defocus_blur",
        /// Blur of a moving camera.
        MotionBlur = "motion_blur",
        /// Patches of white fog.
        Fog = "fog",
        /// Increased brightness.
        Brightness = "brightness",
        /// Reduced contrast.
        Contrast = "contrast",
        /// Paler or stronger colors.
        Saturate = "saturate",
        /// Reduced resolution.
        Pixelate = "pixelate",
        /// JPEG compression.
        JpegCompression = "jpeg_compression",
    }
}

impl Corruption {
    /// Returns the corrupted image. Both images are `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    ///
    /// Random numbers depend only on the seed, the corruption and `index`, the number of the image in its data set.
    /// They are the same for all severities.
    ///
    /// # Panics
    /// If `image` does not have [`IMAGE_LEN`] values, or if `severity` is not in 1..=[`SEVERITIES`].
    pub fn apply(self, severity: usize, image: &[u8], seed: u64, index: u64) -> Vec<u8> {
        assert_eq!(image.len(), IMAGE_LEN);
        let level = severity - 1;
        let rng = &mut stream(seed, StreamId::Corruption, (index << 8) | self as u64);
        let mut x = to_unit_range(image);
        match self {
            Self::GaussianNoise => noise::gaussian(&mut x, [0.04, 0.06, 0.08, 0.09, 0.1][level], rng),
            Self::ShotNoise => noise::shot(&mut x, [500.0, 250.0, 100.0, 75.0, 50.0][level], rng),
            Self::ImpulseNoise => noise::impulse(&mut x, [0.01, 0.02, 0.03, 0.05, 0.07][level], rng),
            Self::GaussianBlur => blur::convolve(&mut x, &blur::gaussian([0.4, 0.6, 0.7, 0.8, 1.0][level])),
            Self::DefocusBlur => {
                let (radius, edge_sigma) = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][level];
                blur::convolve(&mut x, &blur::defocus(radius, edge_sigma));
            }
            Self::MotionBlur => {
                let (radius, sigma) = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)][level];
                let angle = rng.random_range(-45f32..45.0).to_radians();
                blur::convolve(&mut x, &blur::motion(radius, sigma, angle));
            }
            Self::Fog => {
                let (amount, decay) = [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][level];
                fog::add_fog(&mut x, amount, &fog::plasma_fractal(decay, rng));
            }
            Self::Brightness => color::brighten(&mut x, [0.05, 0.1, 0.15, 0.2, 0.3][level]),
            Self::Contrast => color::contrast(&mut x, [0.75, 0.5, 0.4, 0.3, 0.15][level]),
            Self::Saturate => {
                let (factor, offset) = [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)][level];
                color::saturate(&mut x, factor, offset);
            }
            Self::Pixelate => digital::pixelate(&mut x, [0.95, 0.9, 0.85, 0.75, 0.65][level]),
            Self::JpegCompression => return digital::jpeg(image, [80, 65, 58, 50, 40][level]),
        }
        x.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    }
}
