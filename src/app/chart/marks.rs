//! Marks as SVG.

use std::collections::BTreeMap;

use super::{
    Form, Grid, Mark, Scale, SeriesStyle,
    axes::PlotArea,
    grid::{LabelAnchor, Run},
    series_style::Shape,
    svg::{GROUND, INK, TEXT, label, text_width},
};

/// All marks from back to front, then their labels.
pub(super) fn draw(area: &PlotArea, marks: &[Mark]) -> String {
    let drawn: String = marks.iter().map(|m| mark(area, m)).collect();
    format!(r#"<g class="marks">{drawn}</g>{}{}"#, reference_labels(area, marks), region_labels(area, marks))
}

fn mark(area: &PlotArea, Mark { style, form, .. }: &Mark) -> String {
    let (bottom, right) = (area.top + area.height, area.left + area.width);
    match form {
        Form::Line(points) => line(area, *style, points),
        Form::Points(points) => scatter(area, *style, points),
        Form::Bars(bars) => histogram(area, *style, bars),
        Form::Segments(segments) => strokes(area, *style, segments, false),
        Form::Arrows(segments) => strokes(area, *style, segments, true),
        Form::HorizontalLine(y) if y.is_finite() => {
            let y = area.y(*y);
            format!(r#"<path d="M{:.1} {y:.1}L{right:.1} {y:.1}" {}/>"#, area.left, stroke(*style, 1.5))
        }
        Form::VerticalLine(x) if x.is_finite() => {
            let x = area.x(*x);
            format!(r#"<path d="M{x:.1} {:.1}L{x:.1} {bottom:.1}" {}/>"#, area.top, stroke(*style, 1.5))
        }
        Form::HorizontalLine(_) | Form::VerticalLine(_) => String::new(),
        Form::Map(grid, scale) => {
            let ends = scale.ends(&grid.values);
            cells(area, grid, |v| scale.level(v, ends).map(|level| Scale::color(*scale, level)), 1.0)
        }
        Form::Regions(grid, _) => cells(area, grid, |class| Some(SeriesStyle::Class(class).color()), 0.18),
    }
}

/// Markers at the points, smaller and translucent if they are many.
fn scatter(area: &PlotArea, style: SeriesStyle, points: &[[f32; 2]]) -> String {
    let is_dense = matches!(style, SeriesStyle::Class(_)) || points.len() > 40;
    let radius = if is_dense { 3.0 } else { 4.5 };
    let finite = points.iter().filter(|p| p.iter().all(|v| v.is_finite()));
    let markers: String = finite.map(|p| marker(style, area.at(*p), radius)).collect();
    if is_dense { format!(r#"<g opacity="0.85">{markers}</g>"#) } else { markers }
}

/// A histogram as one outline.
fn histogram(area: &PlotArea, style: SeriesStyle, bars: &[[f32; 3]]) -> String {
    let zero = area.y(0.0);
    let finite = bars.iter().filter(|b| b.iter().all(|v| v.is_finite()));
    let steps: Vec<[f32; 3]> = finite.map(|&[from, to, h]| [area.x(from), area.x(to), area.y(h)]).collect();
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return String::new() };
    let tops: String = steps.iter().map(|[from, to, y]| format!("L{from:.1} {y:.1}L{to:.1} {y:.1}")).collect();
    format!(
        r#"<path d="M{:.1} {zero:.1}{tops}L{:.1} {zero:.1}Z" fill="{}" fill-opacity="0.2" {}/>"#,
        first[0],
        last[1],
        style.color(),
        stroke(style, 1.5)
    )
}

/// Segments, with or without arrowheads, as one path.
fn strokes(area: &PlotArea, style: SeriesStyle, segments: &[[f32; 4]], with_heads: bool) -> String {
    let finite = segments.iter().filter(|s| s.iter().all(|v| v.is_finite()));
    let segment = |&[x1, y1, x2, y2]: &[f32; 4]| {
        let (from, to) = (area.at([x1, y1]), area.at([x2, y2]));
        let shaft = format!("M{:.1} {:.1}L{:.1} {:.1}", from[0], from[1], to[0], to[1]);
        if with_heads { shaft + &arrowhead(area, from, to) } else { shaft }
    };
    let d: String = finite.map(segment).collect();
    // The colors of a grid are the same in every theme, so a line on it needs a background.
    let background = match area.over_grid {
        true => format!(r#"<path d="{d}" fill="none" stroke="{GROUND}" stroke-width="3.5" stroke-opacity="0.7"/>"#),
        false => String::new(),
    };
    format!(r#"{background}<path d="{d}" fill="none" stroke-linecap="round" {}/>"#, stroke(style, 1.5))
}

/// The stroke attributes of a style.
pub(super) fn stroke(style: SeriesStyle, width: f32) -> String {
    format!(r#"stroke="{}" stroke-width="{width}" stroke-dasharray="{}""#, style.color(), style.dash())
}

/// The marker of a style at a point.
pub(super) fn marker(style: SeriesStyle, [x, y]: [f32; 2], r: f32) -> String {
    let (shape, hollow) = style.shape();
    let color = style.color();
    let paint = match (shape, hollow) {
        (Shape::Cross, true) => format!(r#"fill="none" stroke="{color}" stroke-width="2.5""#),
        (Shape::Cross, false) => format!(r#"fill="none" stroke="{color}" stroke-width="1.2""#),
        (_, true) => format!(r#"fill="{GROUND}" stroke="{color}" stroke-width="1.2""#),
        // The first two classes have the same colors and shapes.
        _ if matches!(style, SeriesStyle::Clean | SeriesStyle::Adversarial) => {
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

/// A line through the points, interrupted at points that are not finite.
fn line(area: &PlotArea, style: SeriesStyle, points: &[[f32; 2]]) -> String {
    let pieces = points.split(|p| !p.iter().all(|v| v.is_finite()));
    let piece = |piece: &[[f32; 2]]| match piece {
        [] => String::new(),
        [point] => marker(style, area.at(*point), 2.5),
        _ => {
            let at = |p: &[f32; 2]| {
                let [x, y] = area.at(*p);
                format!("{x:.1},{y:.1}")
            };
            let points: Vec<String> = piece.iter().map(at).collect();
            let stroke = stroke(style, 2.0);
            format!(r#"<polyline points="{}" fill="none" stroke-linejoin="round" {stroke}/>"#, points.join(" "))
        }
    };
    pieces.map(piece).collect()
}

/// An arrowhead, which is smaller on a short arrow.
fn arrowhead(area: &PlotArea, from: [f32; 2], to: [f32; 2]) -> String {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let length = dx.hypot(dy);
    if length < 1.0 {
        return String::new();
    }
    let size = (0.4 * length).min(6.0) / length;
    let wing = |side: f32| {
        let x = to[0] - size * (dx + 0.5 * side * dy);
        let y = to[1] - size * (dy - 0.5 * side * dx);
        [x.clamp(area.left, area.left + area.width), y.clamp(area.top, area.top + area.height)]
    };
    let [[a, b], [c, d]] = [wing(1.0), wing(-1.0)];
    format!("M{a:.1} {b:.1}L{:.1} {:.1}L{c:.1} {d:.1}", to[0], to[1])
}

/// The cells of a grid. One path for each color is short and has no seams.
fn cells<T: Copy, C: AsRef<str> + Ord>(
    area: &PlotArea,
    grid: &Grid<T>,
    color: impl Fn(T) -> Option<C>,
    opacity: f32,
) -> String {
    if !grid.is_placed() {
        return String::new();
    }
    let mut paths: BTreeMap<C, String> = BTreeMap::new();
    for Run { key, row, start, end } in grid.runs(color) {
        let Some(color) = key else { continue };
        let [left, bottom] = area.at(grid.at(start as f32, row as f32));
        let [right, top] = area.at(grid.at(end as f32, row as f32 + 1.0));
        *paths.entry(color).or_default() +=
            &format!("M{left:.1} {top:.1}L{right:.1} {top:.1}L{right:.1} {bottom:.1}L{left:.1} {bottom:.1}Z");
    }
    let path = |(color, d): (C, String)| format!(r#"<path d="{d}" fill="{}" stroke="none"/>"#, color.as_ref());
    let all: String = paths.into_iter().map(path).collect();
    format!(r#"<g fill-opacity="{opacity}" shape-rendering="crispEdges">{all}</g>"#)
}

/// The labels of the reference lines, at different heights or ends.
fn reference_labels(area: &PlotArea, marks: &[Mark]) -> String {
    let (right, bottom) = (area.left + area.width, area.top + area.height);
    let labeled = || marks.iter().filter(|m| !m.series.is_empty());
    let vertical = labeled().filter_map(|m| match m.form {
        Form::VerticalLine(x) if x.is_finite() => Some((area.x(x), &m.series)),
        _ => None,
    });
    let horizontal = labeled().filter_map(|m| match m.form {
        Form::HorizontalLine(y) if y.is_finite() => Some((area.y(y), &m.series)),
        _ => None,
    });
    let vertical_label = |(row, (x, name)): (usize, (f32, &String))| {
        let y = (area.top + 12.0 + 14.0 * row as f32).min(bottom);
        let fits_right = x + 4.0 + text_width(name, TEXT) < right;
        if fits_right { label([x + 4.0, y], "start", name) } else { label([x - 4.0, y], "end", name) }
    };
    let horizontal_label = |(n, (y, name)): (usize, (f32, &String))| {
        let y = if y - area.top > 18.0 { y - 5.0 } else { y + 13.0 };
        if n % 2 == 0 { label([right - 2.0, y], "end", name) } else { label([area.left + 4.0, y], "start", name) }
    };
    vertical.enumerate().map(vertical_label).chain(horizontal.enumerate().map(horizontal_label)).collect()
}

/// The names of the regions, each where its region has most room, if there is enough.
fn region_labels(area: &PlotArea, marks: &[Mark]) -> String {
    let mut out = String::new();
    for mark in marks {
        let Form::Regions(grid, classes) = &mark.form else { continue };
        if !grid.is_placed() {
            continue;
        }
        let [left, low] = area.at(grid.at(0.0, 0.0));
        let [right, high] = area.at(grid.at(1.0, 1.0));
        let cell = (right - left).min(low - high);
        let mut taken: Vec<[f32; 3]> = Vec::new();
        for LabelAnchor { value, center, distance } in grid.label_anchors() {
            let (Some(name), true) = (classes.get(value), distance as f32 * cell > 8.0) else { continue };
            let half = text_width(name, TEXT) / 2.0;
            let [x, y] = area.at(center);
            let x = x.min(area.left + area.width - half).max(area.left + half);
            if taken.iter().all(|[x1, y1, half1]| (x - x1).abs() > half + half1 || (y - y1).abs() > TEXT + 2.0) {
                taken.push([x, y, half]);
                out += &label([x, y + 4.0], "middle", name);
            }
        }
    }
    out
}
