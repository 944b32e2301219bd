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
    let n = clean.len() / 3;
    let change = |i: usize| attacked[i] - clean[i] as f32 / 255.0;
    (0..n)
        .flat_map(|i| {
            let mean = (change(i) + change(n + i) + change(2 * n + i)) / 3.0;
            let [r, g, b] = diverging(if scale > 0.0 { mean / scale } else { 0.0 });
            [r, g, b, 255]
        })
        .collect()
}

/// The colour of a value in [-1,1].
fn diverging(value: f32) -> [u8; 3] {
    let last = STOPS.len() - 1;
    let at = (value.clamp(-1.0, 1.0) + 1.0) / 2.0 * last as f32;
    let low = (at as usize).min(last - 1);
    let part = at - low as f32;
    let mix = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * part).round() as u8;
    std::array::from_fn(|c| mix(STOPS[low][c], STOPS[low + 1][c]))
}
