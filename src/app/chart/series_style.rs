//! The style of a series: its color, and a marker shape and a dash pattern that tell it apart without color.

/// The style of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesStyle {
    /// The original image: blue, disc.
    Clean,
    /// The adversarial image: vermilion, triangle, dashed.
    Adversarial,
    /// The robust model: green, diamond.
    Robust,
    /// The standard model: text color, square, dotted.
    Standard,
    /// The PGD-trained model: amber, ring, long dashes.
    PgdTrained,
    /// The uploaded model: violet, cross, dashed and dotted.
    Custom,
    /// Auxiliary marks: gray.
    Soft,
    /// A class: ten colors with their shapes, which repeat.
    Class(usize),
    /// The color of a class, dashed.
    ClassDashed(usize),
}

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Disc,
    /// A triangle.
    Triangle,
    /// A diamond.
    Diamond,
    /// A square.
    Square,
    /// A diagonal cross.
    Cross,
}

/// Colors of classes after Okabe and Ito, in tints that are visible on white and on black.
const CLASSES: [&str; 10] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6fc9", "#b5a300", "#7b8794", "#9c6b3f"];

const SHAPES: [Shape; 5] = [Shape::Disc, Shape::Triangle, Shape::Diamond, Shape::Square, Shape::Cross];

impl SeriesStyle {
    /// The color, for the attributes `fill` and `stroke` of SVG.
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

    /// The shape of the marker, and whether it is hollow.
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

    /// The attribute `stroke-dasharray` of SVG.
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
