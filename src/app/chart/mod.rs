//! Charts as plain data. [`Chart::svg`] renders a chart as SVG (`svg`, `axes`, `legend`, `marks`), and [`Chart::csv`] exports its
//! numbers.
//!
//! Colors are CSS variables of the page with fallbacks, so a chart follows the theme of the page and also works in a file.
//! There are no inline styles, because the Content-Security-Policy of the page forbids them.

mod axes;
mod csv;
pub mod grid;
mod legend;
mod marks;

pub mod colormap;
pub mod series_style;
mod svg;
pub mod ticks;

pub use colormap::Scale;
pub use grid::Grid;
pub use series_style::SeriesStyle;
pub use svg::standalone_svg;

/// A chart. Values that are not finite are not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The file name without its ending.
    pub name: String,
    /// The title.
    pub title: String,
    /// One sentence about the result, for screen readers.
    pub description: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Labels along x with their positions, instead of numbers.
    pub x_labels: Vec<(f32, String)>,
    /// Whether a unit has the same length on both axes.
    pub equal: bool,
    /// The series, from back to front.
    pub marks: Vec<Mark>,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// The label. A vertical axis without a label has no numbers.
    pub label: String,
    /// The unit; may be empty.
    pub unit: &'static str,
    /// A range that the axis includes, in addition to all values.
    pub including: Option<[f32; 2]>,
    /// Whether only integers are labeled.
    pub is_integer: bool,
}

impl Axis {
    /// An axis with a label and a unit, which may be empty.
    pub fn new(label: &str, unit: &'static str) -> Self {
        Self { label: label.into(), unit, ..Self::default() }
    }

    /// The same axis, including the range from `low` to `high`.
    pub fn including(self, low: f32, high: f32) -> Self {
        Self { including: Some([low, high]), ..self }
    }

    /// The same axis with integer labels only.
    pub fn integer(self) -> Self {
        Self { is_integer: true, ..self }
    }

    /// The label with the unit.
    fn caption(&self) -> String {
        if self.unit.is_empty() { self.label.clone() } else { format!("{}, {}", self.label, self.unit) }
    }
}

/// A series of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The name in the legend, or beside a reference line. A series without a name is not explained.
    pub series: String,
    /// The color, marker and dash pattern.
    pub style: SeriesStyle,
    /// What is drawn.
    pub form: Form,
}

impl Mark {
    /// A series.
    pub fn new(series: &str, style: SeriesStyle, form: Form) -> Self {
        Self { series: series.into(), style, form }
    }
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// A line through points `[x, y]`, interrupted at points that are not finite.
    Line(Vec<[f32; 2]>),
    /// Markers at `[x, y]`.
    Points(Vec<[f32; 2]>),
    /// A histogram: `[from, to, height]` of adjacent bars in order.
    Bars(Vec<[f32; 3]>),
    /// Segments `[x1, y1, x2, y2]`.
    Segments(Vec<[f32; 4]>),
    /// Segments with an arrowhead at the second point.
    Arrows(Vec<[f32; 4]>),
    /// A reference line at this y.
    HorizontalLine(f32),
    /// A reference line at this x.
    VerticalLine(f32),
    /// Values as colors of a color map.
    Map(Grid<f32>, Scale),
    /// Classes as pale colors, with the names of the classes.
    Regions(Grid<usize>, Vec<String>),
}

impl Form {
    /// The points that the axes must include. A coordinate without meaning is NaN.
    fn corners(&self) -> Vec<[f32; 2]> {
        let bounds = |x: [f32; 2], y: [f32; 2]| vec![[x[0], y[0]], [x[1], y[1]]];
        match self {
            Self::Line(points) | Self::Points(points) => points.clone(),
            Self::Bars(bars) => bars.iter().flat_map(|&[from, to, height]| [[from, 0.0], [to, height]]).collect(),
            Self::Segments(s) | Self::Arrows(s) => s.iter().flat_map(|&[a, b, c, d]| [[a, b], [c, d]]).collect(),
            Self::HorizontalLine(y) => vec![[f32::NAN, *y]],
            Self::VerticalLine(x) => vec![[*x, f32::NAN]],
            Self::Map(grid, _) => bounds(grid.x, grid.y),
            Self::Regions(grid, _) => bounds(grid.x, grid.y),
        }
    }

    fn is_grid(&self) -> bool {
        matches!(self, Self::Map(..) | Self::Regions(..))
    }
}

impl Chart {
    /// The ranges of both axes; `None` if there is nothing to draw.
    fn ranges(&self) -> Option<[[f64; 2]; 2]> {
        let corners: Vec<_> = self.marks.iter().flat_map(|m| m.form.corners()).collect();
        if !corners.iter().any(|c| c.iter().all(|v| v.is_finite())) {
            return None;
        }
        Some([0, 1].map(|axis| {
            let least = [&self.x, &self.y][axis].including;
            let shown = corners.iter().map(|c| c[axis]).chain(least.into_iter().flatten()).filter(|v| v.is_finite());
            let [low, high] = shown
                .map(f64::from)
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
            // A single value gets a margin on both sides.
            let room = if high > low { 0.0 } else { (0.1 * low.abs()).max(0.5) };
            [low - room, high + room]
        }))
    }
}
