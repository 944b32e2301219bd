//! Pixels as canvases want them: RGBA, row by row.

/// Stops of the diverging map (ColorBrewer's PuOr), from darker through unchanged to brighter.
pub const STOPS: [[u8; 3]; 7] = [
    [0x54, 0x27, 0x88],
    [0x99, 0x8e, 0xc3],
    [0xd8, 0xda, 0xeb],
    [0xf7, 0xf7, 0xf7],
    [0xfe, 0xe0, 0xb6],
    [0xf1, 0xa3, 0x40],
    [0xb3, 0x58, 0x06],
];

/// Planes `[3, H, W]` of bytes.
pub fn of_bytes(planes: &[u8]) -> Vec<u8> {
    let n = planes.len() / 3;
    (0..n).flat_map(|i| [planes[i], planes[n + i], planes[2 * n + i], 255]).collect()
}

/// Bytes `[H, W, 3]`.
pub fn of_rgb(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect()
}

/// Planes `[3, H, W]` in [0,1], rounded to bytes.
pub fn of_floats(planes: &[f32]) -> Vec<u8> {
    of_bytes(&planes.iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>())
}

/// How much brighter (towards 1) or darker (towards -1) each pixel became, on average over its channels, where `scale`
/// is a full step, on the diverging map.
pub fn of_change(clean: &[u8], attacked: &[f32], scale: f32) -> Vec<u8> {
    let change: Vec<f32> = attacked.iter().zip(clean).map(|(a, c)| a - f32::from(*c) / 255.0).collect();
    of_values(&mean_of_channels(&change), scale)
}

/// The mean over the channels of planes `[3, H, W]`.
pub fn mean_of_channels(planes: &[f32]) -> Vec<f32> {
    let n = planes.len() / 3;
    (0..n).map(|i| (planes[i] + planes[n + i] + planes[2 * n + i]) / 3.0).collect()
}

/// Values around zero on the diverging map, where `full` is a full step.
pub fn of_values(values: &[f32], full: f32) -> Vec<u8> {
    let color = |value: &f32| {
        let [r, g, b] = diverging(if full > 0.0 { value / full } else { 0.0 });
        [r, g, b, 255]
    };
    values.iter().flat_map(color).collect()
}

/// The color of a value in [-1,1].
fn diverging(value: f32) -> [u8; 3] {
    between(&STOPS, (value + 1.0) / 2.0)
}

/// The color at a place from 0 to 1 along at least two stops.
pub fn between(stops: &[[u8; 3]], place: f32) -> [u8; 3] {
    let last = stops.len() - 1;
    let at = place.clamp(0.0, 1.0) * last as f32;
    let low = (at as usize).min(last - 1);
    let part = at - low as f32;
    let mix = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * part).round() as u8;
    std::array::from_fn(|c| mix(stops[low][c], stops[low + 1][c]))
}
