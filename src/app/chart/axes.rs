//! The plot area and its axes.

use super::{
    Axis, Chart,
    svg::{EDGE, HAIR, SOFT, TEXT, text, text_width, truncated},
    ticks::{labels, ticks},
};

/// Cosine and sine of the slope of labels that do not fit side by side.
const SLOPE: [f32; 2] = [0.82, 0.57];

/// The plot area in px, and the mapping of values to it.
pub(super) struct PlotArea {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
    /// Distance between the edges and the ends of the ranges, so that markers at the ends are inside.
    inset: f32,
    x: [f64; 2],
    y: [f64; 2],
    sloped: bool,
    pub over_grid: bool,
}

impl PlotArea {
    /// The part of `size` below `top` that the labels of the axes leave free.
    pub fn new(chart: &Chart, [x, y]: [[f64; 2]; 2], top: f32, size: [f32; 2]) -> Self {
        let over_grid = chart.marks.iter().any(|m| m.form.is_grid());
        let inset = if over_grid { 0.0 } else { 6.0 };
        let caption = |label: &str, room: f32| if label.is_empty() { 4.0 } else { room };
        let top = top + caption(&chart.y.label, 18.0);
        let mut area = Self { left: 0.0, top, width: size[0], height: 0.0, inset, x, y, sloped: false, over_grid };
        // Twice, because the width of the labels determines the width of the plot and, with equal axes, vice versa.
        for _ in 0..2 {
            let right = 8.0;
            let numbers = area.y_ticks(chart).into_iter().map(|(_, label)| text_width(&label, TEXT));
            let left = numbers.fold(0.0, f32::max) + 8.0;
            (area.left, area.width) = (left, (size[0] - left - right).max(1.0));
            let longest = longest_x_label(chart);
            area.sloped = longest + 8.0 > area.x_label_gap(chart);
            let below = if area.sloped {
                // A sloped label starts to the left of its position.
                let over =
                    chart.x_labels.iter().map(|p| SLOPE[0] * text_width(&p.1, TEXT) - area.x(p.0)).fold(0.0, f32::max);
                (area.left, area.width) = (left + over, (area.width - over).max(1.0));
                SLOPE[1] * longest + 16.0
            } else {
                17.0
            };
            area.height = (size[1] - top - below - caption(&chart.x.label, 17.0)).max(1.0);
            if chart.equal {
                (area.x, area.y) = (x, y);
                area.equalize();
            }
        }
        area
    }

    /// Widens one range until a unit has the same length on both axes.
    fn equalize(&mut self) {
        let inner = [self.width, self.height].map(|s| f64::from((s - 2.0 * self.inset).max(1.0)));
        let span = |r: [f64; 2]| r[1] - r[0];
        let unit = (span(self.x) / inner[0]).max(span(self.y) / inner[1]);
        for (range, size) in [(&mut self.x, inner[0]), (&mut self.y, inner[1])] {
            let (middle, half) = ((range[0] + range[1]) / 2.0, unit * size / 2.0);
            *range = [middle - half, middle + half];
        }
    }

    pub fn x(&self, value: f32) -> f32 {
        self.left + self.inset + fraction(self.x, value) * (self.width - 2.0 * self.inset)
    }

    pub fn y(&self, value: f32) -> f32 {
        self.top + self.height - self.inset - fraction(self.y, value) * (self.height - 2.0 * self.inset)
    }

    pub fn at(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x(x), self.y(y)]
    }

    /// The smallest distance between two labels along x.
    fn x_label_gap(&self, chart: &Chart) -> f32 {
        let gap = |p: &[(f32, String)]| (self.x(p[1].0) - self.x(p[0].0)).abs();
        chart.x_labels.windows(2).map(gap).fold(self.width, f32::min)
    }

    fn x_ticks(&self, chart: &Chart) -> Vec<(f32, String)> {
        tick_labels(&chart.x, self.x, (self.width / 56.0).clamp(2.0, 9.0) as usize)
    }

    /// The labels along y; none if the axis has no label.
    fn y_ticks(&self, chart: &Chart) -> Vec<(f32, String)> {
        if chart.y.label.is_empty() {
            return Vec::new();
        }
        // A typical height until the height is known.
        let height = if self.height > 0.0 { self.height } else { 160.0 };
        tick_labels(&chart.y, self.y, (height / 27.0).clamp(2.0, 7.0) as usize)
    }
}

/// The position of a value in a range, in [0,1].
fn fraction([low, high]: [f64; 2], value: f32) -> f32 {
    ((f64::from(value) - low) / (high - low)).clamp(0.0, 1.0) as f32
}

/// At most `at_most` ticks with their labels.
fn tick_labels(axis: &Axis, range: [f64; 2], at_most: usize) -> Vec<(f32, String)> {
    let mut ticks = ticks(range, at_most);
    ticks.retain(|t| !axis.is_integer || (t - t.round()).abs() < 1e-6);
    let labels = labels(&ticks);
    ticks.into_iter().map(|t| t as f32).zip(labels).collect()
}

pub(super) fn draw(chart: &Chart, area: &PlotArea) -> String {
    let (left, right, bottom) = (area.left, area.left + area.width, area.top + area.height);
    let (mut lines, mut texts) = (String::new(), String::new());
    for (value, label) in area.y_ticks(chart) {
        let y = area.y(value);
        lines += &format!(r#"<line x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#);
        texts += &text([left - 6.0, y + 4.0], "end", SOFT, &label);
    }
    let ticks = if chart.x_labels.is_empty() { area.x_ticks(chart) } else { chart.x_labels.clone() };
    // If even sloped labels would overlap, only some are drawn.
    let every = if area.sloped { (13.0 / area.x_label_gap(chart).max(1.0)).ceil() as usize } else { 1 };
    for (value, label) in ticks.iter().step_by(every.max(1)) {
        let x = area.x(*value);
        lines += &format!(r#"<line x1="{x:.1}" x2="{x:.1}" y1="{bottom:.1}" y2="{:.1}"/>"#, bottom + 4.0);
        texts += &match area.sloped {
            true => format!(
                r#"<g transform="translate({x:.1} {:.1}) rotate(-35)">{}</g>"#,
                bottom + 12.0,
                text([0.0, 0.0], "end", SOFT, label)
            ),
            // Labels at the ends of the axis stay inside.
            false => {
                let half = text_width(label, TEXT) / 2.0;
                text([x.min(right + 8.0 - half).max(half), bottom + 15.0], "middle", SOFT, label)
            }
        };
    }
    if !chart.x.label.is_empty() {
        let below = if area.sloped { 12.0 + SLOPE[1] * longest_x_label(chart) } else { 15.0 };
        let caption = truncated(&chart.x.caption(), right, TEXT);
        texts += &text([right, bottom + below + 15.0], "end", SOFT, &caption);
    }
    if !chart.y.label.is_empty() {
        texts += &text([0.0, area.top - 6.0], "start", SOFT, &truncated(&chart.y.caption(), right, TEXT));
    }
    format!(
        r#"<g stroke="{HAIR}" shape-rendering="crispEdges">{lines}<line x1="{left:.1}" x2="{right:.1}" y1="{bottom:.1}" y2="{bottom:.1}" stroke="{EDGE}"/></g>{texts}"#
    )
}

/// The width of the widest label along x.
fn longest_x_label(chart: &Chart) -> f32 {
    chart.x_labels.iter().map(|p| text_width(&p.1, TEXT)).fold(0.0, f32::max)
}
