//! What a series looks like: its color, and beside it a shape and a dash that say the same.

use crate::app::pixels::{STOPS, between};

/// Whose series it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Of the clean image: blue, a disc.
    Clean,
    /// Of the adversarial image: vermilion, a triangle, dashed.
    Attacked,
    /// Of the robust model: green, a diamond.
    Robust,
    /// Of the standard model: ink, a square, dotted.
    Standard,
    /// Of the model of adversarial training alone: amber, a ring, in long dashes.
    Adversarial,
    /// Of a model that the user brought: violet, a cross, dashed and dotted.
    Custom,
    /// What only helps to read the rest: gray.
    Soft,
    /// Of a class of the data: ten colors, each with its own shape; then they come again.
    Class(usize),
    /// Of what belongs to a class, dashed.
    Beside(usize),
}

/// A marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Disc,
    Triangle,
    Diamond,
    Square,
    Cross,
}

/// Classes, after Okabe and Ito, in tints that are seen on white and on black.
const CLASSES: [&str; 10] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6fc9", "#b5a300", "#7b8794", "#9c6b3f"];
const SHAPES: [Shape; 5] = [Shape::Disc, Shape::Triangle, Shape::Diamond, Shape::Square, Shape::Cross];

impl Tone {
    /// As SVG's `fill` and `stroke` take it.
    pub fn color(self) -> &'static str {
        match self {
            Self::Clean => "var(--clean, #0072b2)",
            Self::Attacked => "var(--attacked, #d55e00)",
            Self::Robust => "var(--robust, #009e73)",
            Self::Standard => "var(--ink, #14181d)",
            Self::Adversarial => "#b08400",
            Self::Custom => "#8a6fc9",
            Self::Soft => "var(--edge, #7b8794)",
            Self::Class(class) | Self::Beside(class) => CLASSES[class % CLASSES.len()],
        }
    }

    /// The marker, and whether it is hollow.
    pub fn shape(self) -> (Shape, bool) {
        match self {
            Self::Clean | Self::Soft => (Shape::Disc, false),
            Self::Attacked => (Shape::Triangle, false),
            Self::Robust => (Shape::Diamond, false),
            Self::Standard => (Shape::Square, false),
            Self::Adversarial => (Shape::Disc, true),
            Self::Custom => (Shape::Cross, false),
            Self::Class(class) | Self::Beside(class) => {
                (SHAPES[class % SHAPES.len()], class % CLASSES.len() >= SHAPES.len())
            }
        }
    }

    /// SVG's `stroke-dasharray`.
    pub fn dash(self) -> &'static str {
        match self {
            Self::Attacked | Self::Beside(_) => "6 3",
            Self::Standard => "2 3",
            Self::Adversarial => "12 4",
            Self::Custom => "8 3 2 3",
            Self::Soft => "1 3",
            Self::Clean | Self::Robust | Self::Class(_) => "none",
        }
    }
}

/// How values become colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From the smallest to the largest value, dark to bright.
    Sequential,
    /// Around zero, to the same size on both sides.
    Diverging,
}

/// Stops of the sequential scale: blue through gray to yellow, its brightness rising evenly (cividis).
const SEQUENTIAL: [[u8; 3]; 6] = [
    [0x00, 0x22, 0x4e],
    [0x36, 0x47, 0x6c],
    [0x6a, 0x6c, 0x71],
    [0x9a, 0x92, 0x76],
    [0xcf, 0xbc, 0x63],
    [0xfe, 0xe8, 0x38],
];

impl Scale {
    /// Different colors of a map: enough for the eye, few enough for a short file.
    pub const LEVELS: usize = 41;

    /// The values at both ends of the scale, for these values.
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

    /// The level of a value, 0 to `LEVELS - 1`, or `None` if it is not finite.
    pub fn level(self, value: f32, [low, high]: [f32; 2]) -> Option<usize> {
        let part =
            if high > low { (f64::from(value) - f64::from(low)) / (f64::from(high) - f64::from(low)) } else { 0.5 };
        value.is_finite().then(|| (part.clamp(0.0, 1.0) * (Self::LEVELS - 1) as f64).round() as usize)
    }

    /// The color of a level.
    pub fn color(self, level: usize) -> String {
        let stops = if self == Self::Diverging { &STOPS[..] } else { &SEQUENTIAL[..] };
        let [r, g, b] = between(stops, level as f32 / (Self::LEVELS - 1) as f32);
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}
