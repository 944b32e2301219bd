//! Fog: patches of white with a fractal density.

use crate::{
    data::IMAGE_SIZE,
    random::{RngExt, Stream},
};

/// Adds fog of the given `density` map (`[IMAGE_SIZE, IMAGE_SIZE]` in [0,1]) to an image `[3, IMAGE_SIZE, IMAGE_SIZE]`.
///
/// The result is rescaled so that its largest value cannot exceed the largest value of the original.
pub(super) fn add_fog(image: &mut [f32], amount: f32, density: &[f32]) {
    let brightest = image.iter().fold(0f32, |largest, value| largest.max(*value));
    for (value, fog) in image.iter_mut().zip(density.iter().cycle()) {
        *value = (*value + amount * fog) * brightest / (brightest + amount);
    }
}

/// Generates a plasma fractal `[IMAGE_SIZE, IMAGE_SIZE]` in [0,1] that is periodic in both directions, with the
/// diamond-square algorithm (Fournier et al., 1982). The noise amplitude is divided by the square of `decay` at each
/// level.
pub(super) fn plasma_fractal(decay: f32, rng: &mut Stream) -> Vec<f32> {
    let mut heights = vec![0f32; IMAGE_SIZE * IMAGE_SIZE];
    let (mut step, mut amplitude) = (IMAGE_SIZE, 1f32);
    while step > 1 {
        let half = step / 2;
        // Sets the points of a grid to the mean of four neighbors (offsets `[down, right]`) plus noise.
        let mut fill_grid = |top: usize, left: usize, neighbors: [[usize; 2]; 4]| {
            for y in (top..IMAGE_SIZE).step_by(step) {
                for x in (left..IMAGE_SIZE).step_by(step) {
                    let height = |[down, right]: [usize; 2]| {
                        heights[(y + down) % IMAGE_SIZE * IMAGE_SIZE + (x + right) % IMAGE_SIZE]
                    };
                    let mean = neighbors.map(height).iter().sum::<f32>() / 4.0;
                    heights[y * IMAGE_SIZE + x] = mean + amplitude * rng.random_range(-1f32..1.0);
                }
            }
        };
        // Modulo IMAGE_SIZE, adding `back` moves half a step up or left.
        let back = IMAGE_SIZE - half;
        let corners = [[half, half], [half, back], [back, half], [back, back]];
        let sides = [[0, half], [0, back], [half, 0], [back, 0]];
        fill_grid(half, half, corners);
        fill_grid(0, half, sides);
        fill_grid(half, 0, sides);
        step = half;
        amplitude /= decay * decay;
    }
    let (low, high) = heights.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    heights.iter().map(|v| (v - low) / (high - low)).collect()
}
