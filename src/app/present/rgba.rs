//! Pixels as a canvas takes them: RGBA, row by row.

use crate::app::chart::colormap::{DIVERGING, interpolate};

/// Converts planes `[3, H, W]` of bytes.
pub fn from_bytes(planes: &[u8]) -> Vec<u8> {
    let n = planes.len() / 3;
    (0..n).flat_map(|i| [planes[i], planes[n + i], planes[2 * n + i], 255]).collect()
}

/// Converts bytes `[H, W, 3]`.
pub fn from_rgb(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect()
}

/// Converts planes `[3, H, W]` in [0,1].
pub fn from_floats(planes: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = planes.iter().map(|value| (value * 255.0).round() as u8).collect();
    from_bytes(&bytes)
}

/// The difference of two images, averaged over the channels, on the diverging color map. `clean` is `[3, H, W]` in bytes,
/// `adversarial` is `[3, H, W]` in [0,1], and a difference of `scale` gets the color at the end of the map.
pub fn from_difference(clean: &[u8], adversarial: &[f32], scale: f32) -> Vec<u8> {
    let differences: Vec<f32> =
        adversarial.iter().zip(clean).map(|(value, byte)| value - f32::from(*byte) / 255.0).collect();
    from_values(&mean_of_channels(&differences), scale)
}

/// The mean over the channels of planes `[3, H, W]`.
pub fn mean_of_channels(planes: &[f32]) -> Vec<f32> {
    let n = planes.len() / 3;
    (0..n).map(|i| (planes[i] + planes[n + i] + planes[2 * n + i]) / 3.0).collect()
}

/// Values on the diverging color map. A value of `scale` gets the color at the end of the map.
pub fn from_values(values: &[f32], scale: f32) -> Vec<u8> {
    let color = |value: &f32| {
        let relative = if scale > 0.0 { value / scale } else { 0.0 };
        let [red, green, blue] = interpolate(&DIVERGING, (relative + 1.0) / 2.0);
        [red, green, blue, 255]
    };
    values.iter().flat_map(color).collect()
}
