//! Common corruptions in five severities, after CIFAR-10-C: Hendrycks and Dietterich, "Benchmarking Neural Network
//! Robustness to Common Corruptions and Perturbations", ICLR 2019.
//!
//! Severities are those of the authors' `make_cifar_c.py` (github.com/hendrycks/robustness). It is no copy of their files:
//! the draws are other ones, values are rounded where theirs are cut off, images go on with their last row and column
//! under every blur, JPEG keeps colors at full resolution, and of their nineteen kinds these twelve are here, which need
//! neither photographs of frost nor other libraries. Compare models under it, not with published tables.

mod blur;
mod coding;
mod color;
mod fog;
mod noise;

use super::{IMAGE_LEN, to_unit_range};
use crate::{
    random::{RngExt, StreamId, stream},
    settings::choices,
};

/// The largest severity; the least is 1.
pub const SEVERITIES: usize = 5;

choices! {
    /// Common corruptions, by CIFAR-10-C's names, in order of their place in seeds: new ones come last.
    pub enum Corruption {
        /// A sensor in low light.
        GaussianNoise = "gaussian_noise",
        /// Light that comes in particles.
        ShotNoise = "shot_noise",
        /// Broken bits.
        ImpulseNoise = "impulse_noise",
        /// A soft image.
        GaussianBlur = "gaussian_blur",
        /// A lens out of focus.
        DefocusBlur = "defocus_blur",
        /// A camera that moves.
        MotionBlur = "motion_blur",
        /// Patches of white.
        Fog = "fog",
        /// More light.
        Brightness = "brightness",
        /// Less contrast.
        Contrast = "contrast",
        /// Paler or stronger colors.
        Saturate = "saturate",
        /// Fewer pixels.
        Pixelate = "pixelate",
        /// A JPEG file.
        JpegCompression = "jpeg_compression",
    }
}

impl Corruption {
    /// Corrupts an image `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255, into another one. What is random is a function of the seed, the
    /// corruption and `index`, the image's number; severities share it, so that they differ in nothing but themselves.
    ///
    /// # Panics
    /// If `image` does not hold [`IMAGE_LEN`] values, or `severity` is not 1 to [`SEVERITIES`].
    pub fn apply(self, severity: usize, image: &[u8], seed: u64, index: u64) -> Vec<u8> {
        assert_eq!(image.len(), IMAGE_LEN);
        let s = severity - 1;
        let rng = &mut stream(seed, StreamId::Corruption, (index << 8) | self as u64);
        let mut x = to_unit_range(image);
        match self {
            Self::GaussianNoise => noise::gaussian(&mut x, [0.04, 0.06, 0.08, 0.09, 0.1][s], rng),
            Self::ShotNoise => noise::shot(&mut x, [500.0, 250.0, 100.0, 75.0, 50.0][s], rng),
            Self::ImpulseNoise => noise::impulse(&mut x, [0.01, 0.02, 0.03, 0.05, 0.07][s], rng),
            Self::GaussianBlur => blur::convolve(&mut x, &blur::gaussian([0.4, 0.6, 0.7, 0.8, 1.0][s])),
            Self::DefocusBlur => {
                let (radius, soft) = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][s];
                blur::convolve(&mut x, &blur::disc(radius, soft));
            }
            Self::MotionBlur => {
                let (radius, sigma) = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)][s];
                let angle = rng.random_range(-45f32..45.0).to_radians();
                blur::convolve(&mut x, &blur::streak(radius, sigma, angle));
            }
            Self::Fog => {
                let (amount, decay) = [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][s];
                fog::veil(&mut x, amount, &fog::plasma(decay, rng));
            }
            Self::Brightness => color::brighten(&mut x, [0.05, 0.1, 0.15, 0.2, 0.3][s]),
            Self::Contrast => color::contrast(&mut x, [0.75, 0.5, 0.4, 0.3, 0.15][s]),
            Self::Saturate => {
                let (factor, offset) = [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)][s];
                color::saturate(&mut x, factor, offset);
            }
            Self::Pixelate => coding::pixelate(&mut x, [0.95, 0.9, 0.85, 0.75, 0.65][s]),
            Self::JpegCompression => return coding::jpeg(image, [80, 65, 58, 50, 40][s]),
        }
        x.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    }
}
