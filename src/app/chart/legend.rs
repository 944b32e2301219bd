//! The legend: each series once, with its line and marker; each map with its colors and what they stand for.

use super::{
    Chart, Form, Mark, Scale, Tone,
    marks::{marker, stroke},
    svg::{INK, TEXT, fit, text, wide},
};
use crate::app::domain::format::short;

const ROW: f32 = 18.0;
/// Room for a line, and for a marker alone.
const SAMPLE: f32 = 24.0;
const MARKER: f32 = 10.0;
const GAP: f32 = 16.0;
const BAR: f32 = 82.0;

/// Draws it below `top`, in as many rows as it needs, and moves `top` below it.
pub(super) fn draw(chart: &Chart, width: f32, top: &mut f32) -> String {
    let mut out = String::new();
    let (mut x, mut rows) = (0.0, 0.0);
    let mut told: Vec<&str> = Vec::new();
    for mark in &chart.marks {
        let plain = matches!(mark.form, Form::Level(_) | Form::Upright(_) | Form::Regions(..));
        if mark.series.is_empty() || plain || told.contains(&mark.series.as_str()) {
            continue;
        }
        told.push(&mark.series);
        let ends = match &mark.form {
            Form::Map(grid, scale) => scale.ends(&grid.values).map(short),
            _ => Default::default(),
        };
        let all = || chart.marks.iter().filter(|m| m.series == mark.series);
        let lone = all().all(|m| matches!(m.form, Form::Points(_)));
        let room = if lone { MARKER } else { SAMPLE };
        let taken = match mark.form {
            Form::Map(..) => BAR + 14.0 + ends.iter().map(|e| wide(e, TEXT)).sum::<f32>(),
            _ => room + 5.0,
        };
        let name = fit(&mark.series, width - taken, TEXT);
        let item = taken + wide(&name, TEXT);
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
    if !told.is_empty() {
        *top += (rows + 1.0) * ROW + 2.0;
    }
    out
}

fn sample(mark: &Mark, [x, y]: [f32; 2], room: f32) -> String {
    match mark.form {
        Form::Points(_) => {
            let r = if matches!(mark.tone, Tone::Class(_)) { 3.0 } else { 4.5 };
            marker(mark.tone, [x + room / 2.0, y], r)
        }
        Form::Bars(_) => {
            let stroke = stroke(mark.tone, 1.5);
            let fill = mark.tone.color();
            format!(
                r#"<rect x="{:.1}" y="{:.1}" width="{}" height="10" fill="{fill}" fill-opacity="0.2" {stroke}/>"#,
                x + 1.0,
                y - 5.0,
                room - 2.0
            )
        }
        _ => {
            format!(r#"<line x1="{x:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" {}/>"#, x + room, stroke(mark.tone, 2.0))
        }
    }
}

/// A map's colors between the values at their ends.
fn bar(scale: Scale, name: &str, [low, high]: &[String; 2], [x, y]: [f32; 2]) -> String {
    let left = x + wide(name, TEXT) + wide(low, TEXT) + 10.0;
    let step = BAR / Scale::LEVELS as f32;
    let cell = |level: usize| {
        let x = left + level as f32 * step;
        let fill = scale.color(level);
        // A little wider, so that no gap shows between two.
        format!(r#"<rect x="{x:.1}" y="{:.1}" width="{:.1}" height="9" fill="{fill}"/>"#, y - 4.5, step + 0.5)
    };
    let cells: String = (0..Scale::LEVELS).map(cell).collect();
    let texts = [(x, "start", name), (left - 4.0, "end", low), (left + BAR + 4.0, "start", high)];
    cells + &texts.map(|(x, anchor, content)| text([x, y + 4.0], anchor, INK, content)).concat()
}
