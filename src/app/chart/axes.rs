//! The plot's place on the page, and its axes.

use super::{
    Axis, Chart,
    svg::{EDGE, HAIR, SOFT, TEXT, fit, text, wide},
    ticks::{labels, ticks},
};

/// Names that do not fit beside one another are written at this slope: its cosine and sine.
const SLOPE: [f32; 2] = [0.82, 0.57];

/// Where values lie, in px.
pub(super) struct PlotArea {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
    /// Between the edges and the ends of the ranges, so that markers at the ends stay inside.
    inset: f32,
    x: [f64; 2],
    y: [f64; 2],
    sloped: bool,
    pub over_grid: bool,
}

impl PlotArea {
    /// Takes what is left of `size` below `top` and beside the numbers and names of the axes.
    pub fn new(chart: &Chart, [x, y]: [[f64; 2]; 2], top: f32, size: [f32; 2]) -> Self {
        let over_grid = chart.marks.iter().any(|m| m.form.is_grid());
        let inset = if over_grid { 0.0 } else { 6.0 };
        let caption = |label: &str, room: f32| if label.is_empty() { 4.0 } else { room };
        let top = top + caption(&chart.y.label, 18.0);
        let mut frame = Self { left: 0.0, top, width: size[0], height: 0.0, inset, x, y, sloped: false, over_grid };
        // Twice: the numbers' width decides the plot's, which decides the numbers where axes are equal.
        for _ in 0..2 {
            let right = 8.0;
            let numbers = frame.y_ticks(chart).into_iter().map(|(_, label)| wide(&label, TEXT));
            let left = numbers.fold(0.0, f32::max) + 8.0;
            (frame.left, frame.width) = (left, (size[0] - left - right).max(1.0));
            let names = || chart.places.iter().map(|p| p.1.as_str());
            let longest = names().map(|n| wide(n, TEXT)).fold(0.0, f32::max);
            frame.sloped = longest + 8.0 > frame.slot(chart);
            let below = if frame.sloped {
                // A sloped name begins to the left of its place: that, too, must be on the page.
                let over = chart.places.iter().map(|p| SLOPE[0] * wide(&p.1, TEXT) - frame.x(p.0)).fold(0.0, f32::max);
                (frame.left, frame.width) = (left + over, (frame.width - over).max(1.0));
                SLOPE[1] * longest + 16.0
            } else {
                17.0
            };
            frame.height = (size[1] - top - below - caption(&chart.x.label, 17.0)).max(1.0);
            if chart.equal {
                (frame.x, frame.y) = (x, y);
                frame.equalise();
            }
        }
        frame
    }

    /// Widens one range until a unit is as long on both axes.
    fn equalise(&mut self) {
        let inner = [self.width, self.height].map(|s| f64::from((s - 2.0 * self.inset).max(1.0)));
        let span = |r: [f64; 2]| r[1] - r[0];
        let unit = (span(self.x) / inner[0]).max(span(self.y) / inner[1]);
        for (range, size) in [(&mut self.x, inner[0]), (&mut self.y, inner[1])] {
            let (middle, half) = ((range[0] + range[1]) / 2.0, unit * size / 2.0);
            *range = [middle - half, middle + half];
        }
    }

    pub fn x(&self, value: f32) -> f32 {
        self.left + self.inset + part(self.x, value) * (self.width - 2.0 * self.inset)
    }

    pub fn y(&self, value: f32) -> f32 {
        self.top + self.height - self.inset - part(self.y, value) * (self.height - 2.0 * self.inset)
    }

    pub fn at(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x(x), self.y(y)]
    }

    /// The px between two neighboring places.
    fn slot(&self, chart: &Chart) -> f32 {
        let gap = |p: &[(f32, String)]| (self.x(p[1].0) - self.x(p[0].0)).abs();
        chart.places.windows(2).map(gap).fold(self.width, f32::min)
    }

    fn x_ticks(&self, chart: &Chart) -> Vec<(f32, String)> {
        named(&chart.x, self.x, (self.width / 56.0).clamp(2.0, 9.0) as usize)
    }

    /// None where the axis has no label: its values mean nothing then.
    fn y_ticks(&self, chart: &Chart) -> Vec<(f32, String)> {
        if chart.y.label.is_empty() {
            return Vec::new();
        }
        // Before the height is known: numbers as on a plot of usual height.
        let height = if self.height > 0.0 { self.height } else { 160.0 };
        named(&chart.y, self.y, (height / 27.0).clamp(2.0, 7.0) as usize)
    }
}

/// How far along the range, in [0,1].
fn part([low, high]: [f64; 2], value: f32) -> f32 {
    ((f64::from(value) - low) / (high - low)).clamp(0.0, 1.0) as f32
}

fn named(axis: &Axis, range: [f64; 2], at_most: usize) -> Vec<(f32, String)> {
    let mut ticks = ticks(range, at_most);
    ticks.retain(|t| !axis.counts || (t - t.round()).abs() < 1e-6);
    let labels = labels(&ticks);
    ticks.into_iter().map(|t| t as f32).zip(labels).collect()
}

pub(super) fn draw(chart: &Chart, frame: &PlotArea) -> String {
    let (left, right, bottom) = (frame.left, frame.left + frame.width, frame.top + frame.height);
    let (mut lines, mut words) = (String::new(), String::new());
    for (value, label) in frame.y_ticks(chart) {
        let y = frame.y(value);
        lines += &format!(r#"<line x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#);
        words += &text([left - 6.0, y + 4.0], "end", SOFT, &label);
    }
    let ticks = if chart.places.is_empty() { frame.x_ticks(chart) } else { chart.places.clone() };
    // Where even sloped names would lie upon one another, only some are written.
    let every = if frame.sloped { (13.0 / frame.slot(chart).max(1.0)).ceil() as usize } else { 1 };
    for (value, label) in ticks.iter().step_by(every.max(1)) {
        let x = frame.x(*value);
        lines += &format!(r#"<line x1="{x:.1}" x2="{x:.1}" y1="{bottom:.1}" y2="{:.1}"/>"#, bottom + 4.0);
        words += &match frame.sloped {
            true => format!(
                r#"<g transform="translate({x:.1} {:.1}) rotate(-35)">{}</g>"#,
                bottom + 12.0,
                text([0.0, 0.0], "end", SOFT, label)
            ),
            // A number at an end of the axis stays on the page.
            false => {
                let half = wide(label, TEXT) / 2.0;
                text([x.min(right + 8.0 - half).max(half), bottom + 15.0], "middle", SOFT, label)
            }
        };
    }
    if !chart.x.label.is_empty() {
        let below = if frame.sloped { 12.0 + SLOPE[1] * longest(chart) } else { 15.0 };
        let caption = fit(&chart.x.caption(), right, TEXT);
        words += &text([right, bottom + below + 15.0], "end", SOFT, &caption);
    }
    if !chart.y.label.is_empty() {
        words += &text([0.0, frame.top - 6.0], "start", SOFT, &fit(&chart.y.caption(), right, TEXT));
    }
    format!(
        r#"<g stroke="{HAIR}" shape-rendering="crispEdges">{lines}<line x1="{left:.1}" x2="{right:.1}" y1="{bottom:.1}" y2="{bottom:.1}" stroke="{EDGE}"/></g>{words}"#
    )
}

fn longest(chart: &Chart) -> f32 {
    chart.places.iter().map(|p| wide(&p.1, TEXT)).fold(0.0, f32::max)
}
