//! The usual augmentation of 32x32 pictures: a random crop of the padded picture, mirrored half of the time.

use super::{SIDE, VALUES};
use crate::random::{RngExt, Stream};

/// Black pixels added on each side before the crop.
const PADDING: usize = 4;

/// Writes `picture` (`[3, SIDE, SIDE]`, 0..=255), shifted by up to 4 pixels each way over black and mirrored with
/// probability 1/2, to `out` (`[3, SIDE, SIDE]`, in [0, 1]).
///
/// # Panics
/// If either slice does not hold [`VALUES`] values.
pub fn crop_and_flip(picture: &[u8], rng: &mut Stream, out: &mut [f32]) {
    assert_eq!((picture.len(), out.len()), (VALUES, VALUES));
    // 32-bit draws: `usize` would draw differently on wasm32.
    let [top, left] = [(); 2].map(|()| rng.random_range(0..=2 * PADDING as u32) as usize);
    let flip = rng.random::<bool>();
    for (i, value) in out.iter_mut().enumerate() {
        let (plane, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let x = if flip { SIDE - 1 - x } else { x };
        // Coordinates in the padded picture; below PADDING they wrap round and fail the test.
        let (y, x) = ((y + top).wrapping_sub(PADDING), (x + left).wrapping_sub(PADDING));
        let inside = y < SIDE && x < SIDE;
        *value = if inside { f32::from(picture[(plane * SIDE + y) * SIDE + x]) / 255.0 } else { 0.0 };
    }
}

/// Blanks a square of side `side` pixels of `picture` (`[3, SIDE, SIDE]`, in [0, 1]) to middle grey, its centre anywhere
/// in the picture, so that it may reach over the edge (cutout; DeVries and Taylor, 2017).
pub fn cut_out(side: usize, rng: &mut Stream, picture: &mut [f32]) {
    let [y, x] = [(); 2].map(|()| rng.random_range(0..SIDE as u32) as usize);
    let range = |centre: usize| centre.saturating_sub(side / 2)..(centre + side.div_ceil(2)).min(SIDE);
    for plane in picture.chunks_exact_mut(SIDE * SIDE) {
        for row in range(y) {
            plane[row * SIDE..][range(x)].fill(0.5);
        }
    }
}
