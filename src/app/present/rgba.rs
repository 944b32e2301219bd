//! Pixels as a canvas takes them: RGBA, row by row.

use crate::app::chart::colormap::{DIVERGING, between};

/// Planes `[3, H, W]` of bytes.
pub fn from_bytes(planes: &[u8]) -> Vec<u8> {
    let n = planes.len() / 3;
    (0..n).flat_map(|i| [planes[i], planes[n + i], planes[2 * n + i], 255]).collect()
}

/// Bytes `[H, W, 3]`.
pub fn from_rgb(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect()
}

/// Planes `[3, H, W]` in [0,1], rounded to bytes.
pub fn from_floats(planes: &[f32]) -> Vec<u8> {
    from_bytes(&planes.iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>())
}

/// How much brighter (towards 1) or darker (towards -1) each pixel became, on average over its channels, where `scale`
/// is a full step, on the diverging map.
pub fn from_difference(clean: &[u8], attacked: &[f32], scale: f32) -> Vec<u8> {
    let change: Vec<f32> = attacked.iter().zip(clean).map(|(a, c)| a - f32::from(*c) / 255.0).collect();
    from_values(&mean_of_channels(&change), scale)
}

/// The mean over the channels of planes `[3, H, W]`.
pub fn mean_of_channels(planes: &[f32]) -> Vec<f32> {
    let n = planes.len() / 3;
    (0..n).map(|i| (planes[i] + planes[n + i] + planes[2 * n + i]) / 3.0).collect()
}

/// Values around zero on the diverging map, where `full` is a full step.
pub fn from_values(values: &[f32], full: f32) -> Vec<u8> {
    let color = |value: &f32| {
        let [r, g, b] = diverging(if full > 0.0 { value / full } else { 0.0 });
        [r, g, b, 255]
    };
    values.iter().flat_map(color).collect()
}

/// The color of a value in [-1,1].
fn diverging(value: f32) -> [u8; 3] {
    between(&DIVERGING, (value + 1.0) / 2.0)
}
