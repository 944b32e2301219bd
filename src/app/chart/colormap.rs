//! Color maps of values.

/// Stops of the diverging scale (ColorBrewer's PuOr), from darker through unchanged to brighter.
pub const DIVERGING: [[u8; 3]; 7] = [
    [0x54, 0x27, 0x88],
    [0x99, 0x8e, 0xc3],
    [0xd8, 0xda, 0xeb],
    [0xf7, 0xf7, 0xf7],
    [0xfe, 0xe0, 0xb6],
    [0xf1, 0xa3, 0x40],
    [0xb3, 0x58, 0x06],
];

/// Stops of the sequential scale (cividis): from blue to yellow with linear brightness.
const SEQUENTIAL: [[u8; 3]; 6] = [
    [0x00, 0x22, 0x4e],
    [0x36, 0x47, 0x6c],
    [0x6a, 0x6c, 0x71],
    [0x9a, 0x92, 0x76],
    [0xcf, 0xbc, 0x63],
    [0xfe, 0xe8, 0x38],
];

/// How values are mapped to colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From the smallest (dark) to the largest (bright) value.
    Sequential,
    /// Symmetric around zero.
    Diverging,
}

impl Scale {
    /// Number of colors of a map: enough for the eye, few enough for a small file.
    pub const LEVELS: usize = 41;

    /// The extreme values of the scale for these values.
    pub fn ends(self, values: &[f32]) -> [f32; 2] {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        match self {
            Self::Diverging => {
                let size = finite().fold(0.0f32, |m, v| m.max(v.abs()));
                [-size, size]
            }
            Self::Sequential if finite().next().is_none() => [0.0, 0.0],
            Self::Sequential => [finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max)],
        }
    }

    /// The level of a value from 0 to `LEVELS - 1`; `None` if it is not finite.
    pub fn level(self, value: f32, [low, high]: [f32; 2]) -> Option<usize> {
        let part =
            if high > low { (f64::from(value) - f64::from(low)) / (f64::from(high) - f64::from(low)) } else { 0.5 };
        value.is_finite().then(|| (part.clamp(0.0, 1.0) * (Self::LEVELS - 1) as f64).round() as usize)
    }

    /// The color of a level.
    pub fn color(self, level: usize) -> String {
        let stops = if self == Self::Diverging { &DIVERGING[..] } else { &SEQUENTIAL[..] };
        let [r, g, b] = interpolate(stops, level as f32 / (Self::LEVELS - 1) as f32);
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// Interpolates between at least two stops. `place` is from 0 to 1.
pub fn interpolate(stops: &[[u8; 3]], place: f32) -> [u8; 3] {
    let last = stops.len() - 1;
    let at = place.clamp(0.0, 1.0) * last as f32;
    let low = (at as usize).min(last - 1);
    let part = at - low as f32;
    let mix = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * part).round() as u8;
    std::array::from_fn(|c| mix(stops[low][c], stops[low + 1][c]))
}
