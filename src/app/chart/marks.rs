//! Each kind of mark as SVG.

use std::collections::BTreeMap;

use super::{
    Form, Grid, Mark, Scale, Tone,
    axes::PlotArea,
    series_style::Shape,
    svg::{GROUND, INK, TEXT, label, wide},
};

/// All marks, from the back to the front, then the words among them.
pub(super) fn draw(frame: &PlotArea, marks: &[Mark]) -> String {
    let drawn: String = marks.iter().map(|m| mark(frame, m)).collect();
    format!(r#"<g class="marks">{drawn}</g>{}{}"#, references(frame, marks), names(frame, marks))
}

fn mark(frame: &PlotArea, Mark { tone, form, .. }: &Mark) -> String {
    let (bottom, right) = (frame.top + frame.height, frame.left + frame.width);
    match form {
        Form::Line(points) => line(frame, *tone, points),
        Form::Points(points) => {
            let many = matches!(tone, Tone::Class(_)) || points.len() > 40;
            let finite = points.iter().filter(|p| p.iter().all(|v| v.is_finite()));
            let all: String = finite.map(|p| marker(*tone, frame.at(*p), if many { 3.0 } else { 4.5 })).collect();
            if many { format!(r#"<g opacity="0.85">{all}</g>"#) } else { all }
        }
        Form::Bars(bars) => {
            let zero = frame.y(0.0);
            let finite = bars.iter().filter(|b| b.iter().all(|v| v.is_finite()));
            let steps: Vec<[f32; 3]> = finite.map(|&[a, b, h]| [frame.x(a), frame.x(b), frame.y(h)]).collect();
            let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return String::new() };
            let tops: String = steps.iter().map(|[a, b, h]| format!("L{a:.1} {h:.1}L{b:.1} {h:.1}")).collect();
            format!(
                r#"<path d="M{:.1} {zero:.1}{tops}L{:.1} {zero:.1}Z" fill="{}" fill-opacity="0.2" {}/>"#,
                first[0],
                last[1],
                tone.color(),
                stroke(*tone, 1.5)
            )
        }
        Form::Segments(segments) | Form::Arrows(segments) => {
            let headed = matches!(form, Form::Arrows(_));
            let finite = segments.iter().filter(|s| s.iter().all(|v| v.is_finite()));
            let one = |&[a, b, c, d]: &[f32; 4]| {
                let (from, to) = (frame.at([a, b]), frame.at([c, d]));
                let shaft = format!("M{:.1} {:.1}L{:.1} {:.1}", from[0], from[1], to[0], to[1]);
                if headed { shaft + &head(frame, from, to) } else { shaft }
            };
            let d: String = finite.map(one).collect();
            // Over a grid, whose colors are the same in every theme, a line needs a ground of its own.
            let ground = match frame.over_grid {
                true => {
                    format!(r#"<path d="{d}" fill="none" stroke="{GROUND}" stroke-width="3.5" stroke-opacity="0.7"/>"#)
                }
                false => String::new(),
            };
            format!(r#"{ground}<path d="{d}" fill="none" stroke-linecap="round" {}/>"#, stroke(*tone, 1.5))
        }
        Form::Level(y) if y.is_finite() => {
            let y = frame.y(*y);
            format!(r#"<path d="M{:.1} {y:.1}L{right:.1} {y:.1}" {}/>"#, frame.left, stroke(*tone, 1.5))
        }
        Form::Upright(x) if x.is_finite() => {
            let x = frame.x(*x);
            format!(r#"<path d="M{x:.1} {:.1}L{x:.1} {bottom:.1}" {}/>"#, frame.top, stroke(*tone, 1.5))
        }
        Form::Level(_) | Form::Upright(_) => String::new(),
        Form::Map(grid, scale) => {
            let ends = scale.ends(&grid.values);
            cells(frame, grid, |v| scale.level(v, ends).map(|level| Scale::color(*scale, level)), 1.0)
        }
        Form::Regions(grid, _) => cells(frame, grid, |class| Some(Tone::Class(class).color()), 0.18),
    }
}

/// `stroke` and its like.
pub(super) fn stroke(tone: Tone, width: f32) -> String {
    format!(r#"stroke="{}" stroke-width="{width}" stroke-dasharray="{}""#, tone.color(), tone.dash())
}

/// A tone's marker about a point.
pub(super) fn marker(tone: Tone, [x, y]: [f32; 2], r: f32) -> String {
    let (shape, hollow) = tone.shape();
    let color = tone.color();
    let paint = match (shape, hollow) {
        (Shape::Cross, true) => format!(r#"fill="none" stroke="{color}" stroke-width="2.5""#),
        (Shape::Cross, false) => format!(r#"fill="none" stroke="{color}" stroke-width="1.2""#),
        (_, true) => format!(r#"fill="{GROUND}" stroke="{color}" stroke-width="1.2""#),
        // Among classes, whose first two have their colors and shapes.
        _ if matches!(tone, Tone::Clean | Tone::Adversarial) => {
            format!(r#"fill="{color}" stroke="{INK}" stroke-width="1.2""#)
        }
        (_, false) => format!(r#"fill="{color}" stroke="{GROUND}" stroke-width="0.7""#),
    };
    let corners: &[[f32; 2]] = match shape {
        Shape::Disc => return format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{r}" {paint}/>"#),
        Shape::Triangle => &[[0.0, -1.15], [1.05, 0.85], [-1.05, 0.85]],
        Shape::Diamond => &[[0.0, -1.2], [1.2, 0.0], [0.0, 1.2], [-1.2, 0.0]],
        Shape::Square => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
        Shape::Cross => &[[-0.9, -0.9], [0.9, 0.9], [0.0, 0.0], [0.9, -0.9], [-0.9, 0.9], [0.0, 0.0]],
    };
    let points: Vec<String> = corners.iter().map(|[a, b]| format!("{:.1} {:.1}", x + a * r, y + b * r)).collect();
    format!(r#"<path d="M{}Z" {paint}/>"#, points.join("L"))
}

/// A line through the points, in pieces where some are not finite.
fn line(frame: &PlotArea, tone: Tone, points: &[[f32; 2]]) -> String {
    let pieces = points.split(|p| !p.iter().all(|v| v.is_finite()));
    let piece = |piece: &[[f32; 2]]| match piece {
        [] => String::new(),
        [point] => marker(tone, frame.at(*point), 2.5),
        _ => {
            let at = |p: &[f32; 2]| {
                let [x, y] = frame.at(*p);
                format!("{x:.1},{y:.1}")
            };
            let points: Vec<String> = piece.iter().map(at).collect();
            let stroke = stroke(tone, 2.0);
            format!(r#"<polyline points="{}" fill="none" stroke-linejoin="round" {stroke}/>"#, points.join(" "))
        }
    };
    pieces.map(piece).collect()
}

/// The two strokes at an arrow's end, shorter on a short arrow.
fn head(frame: &PlotArea, from: [f32; 2], to: [f32; 2]) -> String {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let length = dx.hypot(dy);
    if length < 1.0 {
        return String::new();
    }
    let size = (0.4 * length).min(6.0) / length;
    let wing = |side: f32| {
        let x = to[0] - size * (dx + 0.5 * side * dy);
        let y = to[1] - size * (dy - 0.5 * side * dx);
        [x.clamp(frame.left, frame.left + frame.width), y.clamp(frame.top, frame.top + frame.height)]
    };
    let [[a, b], [c, d]] = [wing(1.0), wing(-1.0)];
    format!("M{a:.1} {b:.1}L{:.1} {:.1}L{c:.1} {d:.1}", to[0], to[1])
}

/// A grid's cells, one path a color: short, and without seams.
fn cells<T: Copy, C: AsRef<str> + Ord>(
    frame: &PlotArea,
    grid: &Grid<T>,
    color: impl Fn(T) -> Option<C>,
    opacity: f32,
) -> String {
    if !grid.is_placed() {
        return String::new();
    }
    let mut paths: BTreeMap<C, String> = BTreeMap::new();
    for (color, row, first, after) in grid.runs(color) {
        let Some(color) = color else { continue };
        let [left, bottom] = frame.at(grid.at(first as f32, row as f32));
        let [right, top] = frame.at(grid.at(after as f32, row as f32 + 1.0));
        *paths.entry(color).or_default() +=
            &format!("M{left:.1} {top:.1}L{right:.1} {top:.1}L{right:.1} {bottom:.1}L{left:.1} {bottom:.1}Z");
    }
    let path = |(color, d): (C, String)| format!(r#"<path d="{d}" fill="{}" stroke="none"/>"#, color.as_ref());
    let all: String = paths.into_iter().map(path).collect();
    format!(r#"<g fill-opacity="{opacity}" shape-rendering="crispEdges">{all}</g>"#)
}

/// What reference lines stand for: each in a row, or at an end, of its own.
fn references(frame: &PlotArea, marks: &[Mark]) -> String {
    let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
    let named = || marks.iter().filter(|m| !m.series.is_empty());
    let uprights = named().filter_map(|m| match m.form {
        Form::Upright(x) if x.is_finite() => Some((frame.x(x), &m.series)),
        _ => None,
    });
    let levels = named().filter_map(|m| match m.form {
        Form::Level(y) if y.is_finite() => Some((frame.y(y), &m.series)),
        _ => None,
    });
    let upright = |(row, (x, name)): (usize, (f32, &String))| {
        let y = (frame.top + 12.0 + 14.0 * row as f32).min(bottom);
        let beside = if x + 4.0 + wide(name, TEXT) < right { (x + 4.0, "start") } else { (x - 4.0, "end") };
        label([beside.0, y], beside.1, name)
    };
    let level = |(n, (y, name)): (usize, (f32, &String))| {
        let y = if y - frame.top > 18.0 { y - 5.0 } else { y + 13.0 };
        let end = if n % 2 == 0 { (right - 2.0, "end") } else { (frame.left + 4.0, "start") };
        label([end.0, y], end.1, name)
    };
    uprights.enumerate().map(upright).chain(levels.enumerate().map(level)).collect()
}

/// The names of regions, each where its region is widest, if it has room and no other name is there.
fn names(frame: &PlotArea, marks: &[Mark]) -> String {
    let mut out = String::new();
    for mark in marks {
        let Form::Regions(grid, classes) = &mark.form else { continue };
        if !grid.is_placed() {
            continue;
        }
        let [left, low] = frame.at(grid.at(0.0, 0.0));
        let [right, high] = frame.at(grid.at(1.0, 1.0));
        let cell = (right - left).min(low - high);
        let mut taken: Vec<[f32; 3]> = Vec::new();
        for (class, middle, depth) in grid.label_anchors() {
            let (Some(name), true) = (classes.get(class), depth as f32 * cell > 8.0) else { continue };
            let half = wide(name, TEXT) / 2.0;
            let [x, y] = frame.at(middle);
            let x = x.min(frame.left + frame.width - half).max(frame.left + half);
            if taken.iter().all(|[x1, y1, half1]| (x - x1).abs() > half + half1 || (y - y1).abs() > TEXT + 2.0) {
                taken.push([x, y, half]);
                out += &label([x, y + 4.0], "middle", name);
            }
        }
    }
    out
}
