//! Fog: patches of white, thick and thin.

use crate::{
    data::SIDE,
    random::{RngExt, Stream},
};

/// Lays a veil (`[SIDE, SIDE]`, in [0,1]) over a picture `[3, SIDE, SIDE]`; its brightest value stays as bright as it was.
pub fn veil(x: &mut [f32], amount: f32, veil: &[f32]) {
    let brightest = x.iter().fold(0f32, |m, v| m.max(*v));
    for (v, fog) in x.iter_mut().zip(veil.iter().cycle()) {
        *v = (*v + amount * fog) * brightest / (brightest + amount);
    }
}

/// Heights of a random landscape `[SIDE, SIDE]`, from 0 to 1, that goes on at the other side of each border: the
/// diamond-square algorithm. Halving the distance between known points divides what is added by `decay` twice over.
pub fn plasma(decay: f32, rng: &mut Stream) -> Vec<f32> {
    let mut heights = vec![0f32; SIDE * SIDE];
    let (mut step, mut amplitude) = (SIDE, 1f32);
    while step > 1 {
        let half = step / 2;
        let mut fill = |top: usize, left: usize, around: [[usize; 2]; 4]| {
            for y in (top..SIDE).step_by(step) {
                for x in (left..SIDE).step_by(step) {
                    let height = |[down, right]: [usize; 2]| heights[(y + down) % SIDE * SIDE + (x + right) % SIDE];
                    let mean = around.map(height).iter().sum::<f32>() / 4.0;
                    heights[y * SIDE + x] = mean + amplitude * rng.random_range(-1f32..1.0);
                }
            }
        };
        // Half a step up or left, round the border.
        let back = SIDE - half;
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
