//! The style of a series: its color, and a marker shape and a dash pattern that tell it apart without color.

/// Whose series it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Of the clean image: blue, a disc.
    Clean,
    /// Of the adversarial image: vermilion, a triangle, dashed.
    Adversarial,
    /// Of the robust model: green, a diamond.
    Robust,
    /// Of the standard model: ink, a square, dotted.
    Standard,
    /// Of the model of adversarial training alone: amber, a ring, in long dashes.
    PgdTrained,
    /// Of a model that the user brought: violet, a cross, dashed and dotted.
    Custom,
    /// What only helps to read the rest: gray.
    Soft,
    /// Of a class of the data: ten colors, each with its own shape; then they come again.
    Class(usize),
    /// Of what belongs to a class, dashed.
    ClassDashed(usize),
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
            Self::Adversarial => "var(--attacked, #d55e00)",
            Self::Robust => "var(--robust, #009e73)",
            Self::Standard => "var(--ink, #14181d)",
            Self::PgdTrained => "#b08400",
            Self::Custom => "#8a6fc9",
            Self::Soft => "var(--edge, #7b8794)",
            Self::Class(class) | Self::ClassDashed(class) => CLASSES[class % CLASSES.len()],
        }
    }

    /// The marker, and whether it is hollow.
    pub fn shape(self) -> (Shape, bool) {
        match self {
            Self::Clean | Self::Soft => (Shape::Disc, false),
            Self::Adversarial => (Shape::Triangle, false),
            Self::Robust => (Shape::Diamond, false),
            Self::Standard => (Shape::Square, false),
            Self::PgdTrained => (Shape::Disc, true),
            Self::Custom => (Shape::Cross, false),
            Self::Class(class) | Self::ClassDashed(class) => {
                (SHAPES[class % SHAPES.len()], class % CLASSES.len() >= SHAPES.len())
            }
        }
    }

    /// SVG's `stroke-dasharray`.
    pub fn dash(self) -> &'static str {
        match self {
            Self::Adversarial | Self::ClassDashed(_) => "6 3",
            Self::Standard => "2 3",
            Self::PgdTrained => "12 4",
            Self::Custom => "8 3 2 3",
            Self::Soft => "1 3",
            Self::Clean | Self::Robust | Self::Class(_) => "none",
        }
    }
}
