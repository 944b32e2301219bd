//! The usual augmentation of 32x32 images: a random crop of the padded image, mirrored half of the time.

use super::{IMAGE_LEN, IMAGE_SIZE};
use crate::random::{RngExt, Stream};

/// Black pixels added on each side before the crop.
const PADDING: usize = 4;

/// Writes `image` (`[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255), shifted by up to 4 pixels each way over black and mirrored with
/// probability 1/2, to `out` (`[3, IMAGE_SIZE, IMAGE_SIZE]`, in [0, 1]).
///
/// # Panics
/// If either slice does not hold [`IMAGE_LEN`] values.
pub fn crop_and_flip(image: &[u8], rng: &mut Stream, out: &mut [f32]) {
    assert_eq!((image.len(), out.len()), (IMAGE_LEN, IMAGE_LEN));
    // 32-bit draws: `usize` would draw differently on wasm32.
    let [top, left] = [(); 2].map(|()| rng.random_range(0..=2 * PADDING as u32) as usize);
    let flip = rng.random::<bool>();
    for (i, value) in out.iter_mut().enumerate() {
        let (plane, y, x) = (i / (IMAGE_SIZE * IMAGE_SIZE), i / IMAGE_SIZE % IMAGE_SIZE, i % IMAGE_SIZE);
        let x = if flip { IMAGE_SIZE - 1 - x } else { x };
        // Coordinates in the padded image; below PADDING they wrap round and fail the test.
        let (y, x) = ((y + top).wrapping_sub(PADDING), (x + left).wrapping_sub(PADDING));
        let inside = y < IMAGE_SIZE && x < IMAGE_SIZE;
        *value = if inside { f32::from(image[(plane * IMAGE_SIZE + y) * IMAGE_SIZE + x]) / 255.0 } else { 0.0 };
    }
}

/// Blanks a square of side `side` pixels of `image` (`[3, IMAGE_SIZE, IMAGE_SIZE]`, in [0, 1]) to middle gray, its center anywhere
/// in the image, so that it may reach over the edge (cutout; DeVries and Taylor, 2017).
pub fn cut_out(side: usize, rng: &mut Stream, image: &mut [f32]) {
    let [y, x] = [(); 2].map(|()| rng.random_range(0..IMAGE_SIZE as u32) as usize);
    let range = |center: usize| center.saturating_sub(side / 2)..(center + side.div_ceil(2)).min(IMAGE_SIZE);
    for plane in image.chunks_exact_mut(IMAGE_SIZE * IMAGE_SIZE) {
        for row in range(y) {
            plane[row * IMAGE_SIZE..][range(x)].fill(0.5);
        }
    }
}
