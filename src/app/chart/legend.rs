//! The legend: each series with its line and marker, each map with its colors and their values.

use super::{
    Chart, Form, Mark, Scale, SeriesStyle,
    marks::{marker, stroke},
    svg::{INK, TEXT, text, text_width, truncated},
};
use crate::app::domain::format::short;

const ROW: f32 = 18.0;
/// Width of a line sample.
const SAMPLE: f32 = 24.0;
/// Width of a marker sample.
const MARKER: f32 = 10.0;
const GAP: f32 = 16.0;
const BAR: f32 = 82.0;

/// Draws the legend below `top` and moves `top` below it.
pub(super) fn draw(chart: &Chart, width: f32, top: &mut f32) -> String {
    let mut out = String::new();
    let (mut x, mut rows) = (0.0, 0.0);
    let mut drawn: Vec<&str> = Vec::new();
    for mark in &chart.marks {
        let is_unlisted = matches!(mark.form, Form::HorizontalLine(_) | Form::VerticalLine(_) | Form::Regions(..));
        if mark.series.is_empty() || is_unlisted || drawn.contains(&mark.series.as_str()) {
            continue;
        }
        drawn.push(&mark.series);
        let ends = match &mark.form {
            Form::Map(grid, scale) => scale.ends(&grid.values).map(short),
            _ => Default::default(),
        };
        let all = || chart.marks.iter().filter(|m| m.series == mark.series);
        let lone = all().all(|m| matches!(m.form, Form::Points(_)));
        let room = if lone { MARKER } else { SAMPLE };
        let taken = match mark.form {
            Form::Map(..) => BAR + 14.0 + ends.iter().map(|e| text_width(e, TEXT)).sum::<f32>(),
            _ => room + 5.0,
        };
        let name = truncated(&mark.series, width - taken, TEXT);
        let item = taken + text_width(&name, TEXT);
        if x > 0.0 && x + item > width {
            (x, rows) = (0.0, rows + 1.0);
        }
        let middle = *top + rows * ROW + ROW / 2.0;
        out += &match &mark.form {
            Form::Map(_, scale) => bar(*scale, &name, &ends, [x, middle]),
            _ => {
                all().map(|m| sample(m, [x, middle], room)).collect::<String>()
                    + &text([x + taken, middle + 4.0], "start", INK, &name)
            }
        };
        x += item + GAP;
    }
    if !drawn.is_empty() {
        *top += (rows + 1.0) * ROW + 2.0;
    }
    out
}

fn sample(mark: &Mark, [x, y]: [f32; 2], room: f32) -> String {
    match mark.form {
        Form::Points(_) => {
            let r = if matches!(mark.style, SeriesStyle::Class(_)) { 3.0 } else { 4.5 };
            marker(mark.style, [x + room / 2.0, y], r)
        }
        Form::Bars(_) => {
            let stroke = stroke(mark.style, 1.5);
            let fill = mark.style.color();
            format!(
                r#"<rect x="{:.1}" y="{:.1}" width="{}" height="10" fill="{fill}" fill-opacity="0.2" {stroke}/>"#,
                x + 1.0,
                y - 5.0,
                room - 2.0
            )
        }
        _ => {
            format!(r#"<line x1="{x:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" {}/>"#, x + room, stroke(mark.style, 2.0))
        }
    }
}

/// The colors of a map between its extreme values.
fn bar(scale: Scale, name: &str, [low, high]: &[String; 2], [x, y]: [f32; 2]) -> String {
    let left = x + text_width(name, TEXT) + text_width(low, TEXT) + 10.0;
    let step = BAR / Scale::LEVELS as f32;
    let cell = |level: usize| {
        let x = left + level as f32 * step;
        let fill = scale.color(level);
        // Slightly wider, so that there is no gap.
        format!(r#"<rect x="{x:.1}" y="{:.1}" width="{:.1}" height="9" fill="{fill}"/>"#, y - 4.5, step + 0.5)
    };
    let cells: String = (0..Scale::LEVELS).map(cell).collect();
    let texts = [(x, "start", name), (left - 4.0, "end", low), (left + BAR + 4.0, "start", high)];
    cells + &texts.map(|(x, anchor, content)| text([x, y + 4.0], anchor, INK, content)).concat()
}
