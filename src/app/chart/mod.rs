//! Charts as plain data, and what is made of them: an SVG laid out for its width, and the numbers as CSV. Pure.
//!
//! A view fills in a [`Chart`]; [`Chart::svg`] draws it (`svg`, `axes`, `legend`, `marks`), [`Chart::csv`] writes it down.
//! Colors are the page's, by name and with a fallback, so that a chart follows the theme in the page and stands alone in
//! a file. No inline styles: the page's Content-Security-Policy forbids them.

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
pub use series_style::Tone;
pub use svg::standalone_svg;

/// A chart. Values may be of any size; what is not finite is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Of the files that it is saved in, without their ending.
    pub name: String,
    pub title: String,
    /// What is to be seen, in one sentence, for those who do not see it.
    pub description: String,
    pub x: Axis,
    pub y: Axis,
    /// Names along x, each at its value, in place of numbers.
    pub places: Vec<(f32, String)>,
    /// A unit is as long on one axis as on the other.
    pub equal: bool,
    /// From the back to the front.
    pub marks: Vec<Mark>,
}

/// What an axis measures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// A y axis without one has no numbers.
    pub label: String,
    /// Empty if there is none.
    pub unit: &'static str,
    /// The axis shows at least this, and everything that is drawn.
    pub least: Option<[f32; 2]>,
    /// What is counted: no numbers between whole ones.
    pub counts: bool,
}

impl Axis {
    pub fn new(label: &str, unit: &'static str) -> Self {
        Self { label: label.into(), unit, ..Self::default() }
    }

    /// The same axis, from `low` to `high` at least.
    pub fn least(self, low: f32, high: f32) -> Self {
        Self { least: Some([low, high]), ..self }
    }

    /// The same axis, of something that is counted.
    pub fn counts(self) -> Self {
        Self { counts: true, ..self }
    }

    /// Label and unit, as they are written beside the axis.
    fn caption(&self) -> String {
        if self.unit.is_empty() { self.label.clone() } else { format!("{}, {}", self.label, self.unit) }
    }
}

/// One series of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// In the legend, or beside a reference line. An empty one is not explained.
    pub series: String,
    pub tone: Tone,
    pub form: Form,
}

impl Mark {
    pub fn new(series: &str, tone: Tone, form: Form) -> Self {
        Self { series: series.into(), tone, form }
    }
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Through points `[x, y]`; broken where one is not finite.
    Line(Vec<[f32; 2]>),
    /// At `[x, y]`.
    Points(Vec<[f32; 2]>),
    /// A histogram: `[from, to, height]` of each bar, adjoining, in order.
    Bars(Vec<[f32; 3]>),
    /// Each from `[x, y` to `x, y]`.
    Segments(Vec<[f32; 4]>),
    /// Segments with a head at their end.
    Arrows(Vec<[f32; 4]>),
    /// A reference line at one y.
    Level(f32),
    /// A reference line at one x.
    Upright(f32),
    /// Values as colors.
    Map(Grid<f32>, Scale),
    /// Classes as pale colors, with their names.
    Regions(Grid<usize>, Vec<String>),
}

impl Form {
    /// Every point that must be seen; a coordinate that does not matter is NaN.
    fn corners(&self) -> Vec<[f32; 2]> {
        let bounds = |x: [f32; 2], y: [f32; 2]| vec![[x[0], y[0]], [x[1], y[1]]];
        match self {
            Self::Line(points) | Self::Points(points) => points.clone(),
            Self::Bars(bars) => bars.iter().flat_map(|&[from, to, height]| [[from, 0.0], [to, height]]).collect(),
            Self::Segments(s) | Self::Arrows(s) => s.iter().flat_map(|&[a, b, c, d]| [[a, b], [c, d]]).collect(),
            Self::Level(y) => vec![[f32::NAN, *y]],
            Self::Upright(x) => vec![[*x, f32::NAN]],
            Self::Map(grid, _) => bounds(grid.x, grid.y),
            Self::Regions(grid, _) => bounds(grid.x, grid.y),
        }
    }

    fn is_grid(&self) -> bool {
        matches!(self, Self::Map(..) | Self::Regions(..))
    }
}

impl Chart {
    /// What both axes show, at least, or `None` if nothing can be drawn.
    fn ranges(&self) -> Option<[[f64; 2]; 2]> {
        let corners: Vec<_> = self.marks.iter().flat_map(|m| m.form.corners()).collect();
        if !corners.iter().any(|c| c.iter().all(|v| v.is_finite())) {
            return None;
        }
        Some([0, 1].map(|axis| {
            let least = [&self.x, &self.y][axis].least;
            let shown = corners.iter().map(|c| c[axis]).chain(least.into_iter().flatten()).filter(|v| v.is_finite());
            let [low, high] = shown
                .map(f64::from)
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
            // A single value has room on both sides.
            let room = if high > low { 0.0 } else { (0.1 * low.abs()).max(0.5) };
            [low - room, high + room]
        }))
    }
}
