//! Data augmentation for 32x32 images: random crop with padding, horizontal flip, cutout.

use super::{IMAGE_LEN, IMAGE_SIZE};
use crate::random::{RngExt, Stream};

/// Number of black pixels added on each side before the crop.
const PADDING: usize = 4;

/// Randomly crops the zero-padded image and flips it horizontally with probability 1/2, as is usual for CIFAR (He et
/// al., 2016, sec. 4.2).
///
/// `image` is `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255. The result is written to `out`, `[3, IMAGE_SIZE, IMAGE_SIZE]` in
/// [0,1].
///
/// # Panics
/// If either slice does not have [`IMAGE_LEN`] values.
pub fn crop_and_flip(image: &[u8], rng: &mut Stream, out: &mut [f32]) {
    assert_eq!((image.len(), out.len()), (IMAGE_LEN, IMAGE_LEN));
    // 32-bit draws: `usize` would draw different numbers on wasm32.
    let [top, left] = [(); 2].map(|()| rng.random_range(0..=2 * PADDING as u32) as usize);
    let flip = rng.random::<bool>();
    for (i, value) in out.iter_mut().enumerate() {
        let (plane, row, column) = (i / (IMAGE_SIZE * IMAGE_SIZE), i / IMAGE_SIZE % IMAGE_SIZE, i % IMAGE_SIZE);
        let column = if flip { IMAGE_SIZE - 1 - column } else { column };
        // Coordinates in the padding above or to the left wrap around to large numbers and fail the bounds check.
        let (y, x) = ((row + top).wrapping_sub(PADDING), (column + left).wrapping_sub(PADDING));
        let inside = y < IMAGE_SIZE && x < IMAGE_SIZE;
        *value = if inside { f32::from(image[(plane * IMAGE_SIZE + y) * IMAGE_SIZE + x]) / 255.0 } else { 0.0 };
    }
}

/// Sets a random square to gray (0.5): cutout (DeVries and Taylor, 2017, arXiv:1708.04552).
///
/// `image` is `[3, IMAGE_SIZE, IMAGE_SIZE]` in [0,1]; `side` is the side length of the square in pixels. The center is
/// uniform over the image, so the square may extend beyond the edge.
pub fn cut_out(side: usize, rng: &mut Stream, image: &mut [f32]) {
    let [y, x] = [(); 2].map(|()| rng.random_range(0..IMAGE_SIZE as u32) as usize);
    let covered = |center: usize| center.saturating_sub(side / 2)..(center + side.div_ceil(2)).min(IMAGE_SIZE);
    for plane in image.chunks_exact_mut(IMAGE_SIZE * IMAGE_SIZE) {
        for row in covered(y) {
            plane[row * IMAGE_SIZE..][covered(x)].fill(0.5);
        }
    }
}
