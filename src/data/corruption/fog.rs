//! Fog: patches of white, thick and thin.

use crate::{
    data::IMAGE_SIZE,
    random::{RngExt, Stream},
};

/// Lays a veil (`[IMAGE_SIZE, IMAGE_SIZE]`, in [0,1]) over an image `[3, IMAGE_SIZE, IMAGE_SIZE]`; its brightest value stays as bright as it was.
pub fn veil(x: &mut [f32], amount: f32, veil: &[f32]) {
    let brightest = x.iter().fold(0f32, |m, v| m.max(*v));
    for (v, fog) in x.iter_mut().zip(veil.iter().cycle()) {
        *v = (*v + amount * fog) * brightest / (brightest + amount);
    }
}

/// Heights of a random landscape `[IMAGE_SIZE, IMAGE_SIZE]`, from 0 to 1, that goes on at the other side of each border: the
/// diamond-square algorithm. Halving the distance between known points divides what is added by `decay` twice over.
pub fn plasma(decay: f32, rng: &mut Stream) -> Vec<f32> {
    let mut heights = vec![0f32; IMAGE_SIZE * IMAGE_SIZE];
    let (mut step, mut amplitude) = (IMAGE_SIZE, 1f32);
    while step > 1 {
        let half = step / 2;
        let mut fill = |top: usize, left: usize, around: [[usize; 2]; 4]| {
            for y in (top..IMAGE_SIZE).step_by(step) {
                for x in (left..IMAGE_SIZE).step_by(step) {
                    let height = |[down, right]: [usize; 2]| {
                        heights[(y + down) % IMAGE_SIZE * IMAGE_SIZE + (x + right) % IMAGE_SIZE]
                    };
                    let mean = around.map(height).iter().sum::<f32>() / 4.0;
                    heights[y * IMAGE_SIZE + x] = mean + amplitude * rng.random_range(-1f32..1.0);
                }
            }
        };
        // Half a step up or left, round the border.
        let back = IMAGE_SIZE - half;
        let sides = [[0, half], [0, back], [half, 0], [back, 0]];
        fill(half, half, [[half, half], [half, back], [back, half], [back, back]]);
        fill(0, half, sides);
        fill(half, 0, sides);
        step = half;
        amplitude /= decay * decay;
    }
    let (low, high) = heights.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    heights.iter().map(|v| (v - low) / (high - low)).collect()
}
