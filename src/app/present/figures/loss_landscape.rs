//! The loss around an image: a map of the margin with the decision boundary, and a map of the loss.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Grid, Mark, Scale, SeriesStyle},
        domain::format::{share, short},
        present::{figures::Figure, model_label::ModelLabel},
    },
    explore::landscape::LandscapeValues,
};

/// The landscape on a square window over `range` with `side` points along each axis. It may be incomplete: only the first rows
/// are known while the worker computes it.
pub fn figure(label: ModelLabel, landscape: &LandscapeValues, range: [f32; 2], side: usize) -> Figure {
    if side < 2 || landscape.margin.len() < side || landscape.loss.len() < side {
        return Figure::default();
    }
    let (margin, loss) = (grid(&landscape.margin, range, side), grid(&landscape.loss, range, side));
    let caption = caption(label, &margin);
    let boundary = margin.contour(0.0);
    let chart = |name: &str, title: String, map: Mark| Chart {
        name: name.into(),
        title,
        description: caption.clone(),
        x: Axis::new("towards the adversarial image, which is at 1", "").including(range[0], range[1]),
        y: Axis::new("in a random direction of the same size", "").including(range[0], range[1]),
        equal: true,
        marks: vec![
            map,
            Mark::new("boundary: margin 0", SeriesStyle::Standard, Form::Segments(boundary.clone())),
            Mark::new("original", SeriesStyle::Clean, Form::Points(vec![[0.0, 0.0]])),
            Mark::new("adversarial", SeriesStyle::Adversarial, Form::Points(vec![[1.0, 0.0]])),
        ],
        ..Chart::default()
    };
    let model = label.with_article();
    let margin_map = Mark::new("margin, logits", SeriesStyle::Soft, Form::Map(margin, Scale::Diverging));
    let loss_map = Mark::new("loss, nats", SeriesStyle::Soft, Form::Map(loss, Scale::Sequential));
    let charts = vec![
        chart("landscape-margin", format!("The margin of {model} around the image"), margin_map),
        chart("landscape-loss", format!("The loss of {model} around the image"), loss_map),
    ];
    Figure { caption, charts }
}

/// The complete rows of the values, as cells around the points.
fn grid(values: &[f32], range: [f32; 2], side: usize) -> Grid<f32> {
    let step = (range[1] - range[0]) / (side as f32 - 1.0).max(1.0);
    let rows = values.len() / side.max(1);
    let top = range[0] + step * (rows as f32 - 1.0);
    let [x, y] = [[range[0], range[1]], [range[0], top]].map(|[low, high]| [low - step / 2.0, high + step / 2.0]);
    Grid { x, y, columns: side, values: values[..rows * side].to_vec() }
}

/// The margin towards the adversarial image, and in the random direction.
fn caption(label: ModelLabel, margin: &Grid<f32>) -> String {
    let (Some(original), Some(adversarial)) = (value(margin, [0.0, 0.0]), value(margin, [1.0, 0.0])) else {
        return String::new();
    };
    let model = label.with_article();
    if original <= 0.0 {
        return format!("The original is already beyond the boundary of {model}: its margin is {}.", short(original));
    }
    let margins = format!("from {} to {} logits", short(original), short(adversarial));
    let towards = if adversarial <= 0.0 {
        let crossing = first_zero(margin, |part| [part, 0.0], 1.0).unwrap_or(1.0);
        format!("falls {margins}: it crosses the boundary after {} of the way", share(crossing))
    } else {
        let verb = if adversarial < original { "only falls" } else { "changes" };
        match first_zero(margin, |part| [part, 0.0], margin.x[1]) {
            Some(part) => format!("{verb} {margins}; it would reach 0 at {} times this perturbation", short(part)),
            None => format!("{verb} {margins}, and this map shows no boundary in this direction"),
        }
    };
    // The random direction has two signs.
    let random = [1.0, -1.0].into_iter().filter_map(|sign| first_zero(margin, |t| [0.0, sign * t], margin.y[1]));
    let random = match random.reduce(f32::min) {
        Some(part) => format!("In a random direction it reaches 0 at {} times this size.", short(part)),
        None => "In a random direction of the same size it stays above 0 on this map.".into(),
    };
    format!("Towards the adversarial image the margin of {model} {towards}. {random}")
}

/// The value at a point, interpolated between the centers of the four nearest cells; `None` outside of the map.
fn value(grid: &Grid<f32>, [x, y]: [f32; 2]) -> Option<f32> {
    let place = |[low, high]: [f32; 2], v: f32, cells: usize| {
        let at = (v - low) / (high - low) * cells as f32 - 0.5;
        // The centers of the outermost cells are inside, also after rounding.
        (at > -1e-3 && at < cells as f32 - 1.0 + 1e-3).then(|| at.clamp(0.0, cells as f32 - 1.0))
    };
    let (rows, columns) = (grid.rows(), grid.columns);
    let (c, r) = (place(grid.x, x, columns)?, place(grid.y, y, rows)?);
    let (c0, r0) = (c as usize, r as usize);
    let (c1, r1) = ((c0 + 1).min(columns - 1), (r0 + 1).min(rows - 1));
    let (u, v) = (c - c0 as f32, r - r0 as f32);
    let at = |c: usize, r: usize| grid.values[r * columns + c];
    let row = |r: usize| if u > 0.0 { at(c0, r) * (1.0 - u) + at(c1, r) * u } else { at(c0, r) };
    let found = if v > 0.0 { row(r0) * (1.0 - v) + row(r1) * v } else { row(r0) };
    found.is_finite().then_some(found)
}

/// Where along a line from 0 to `end` the values first reach 0.
fn first_zero(grid: &Grid<f32>, line: impl Fn(f32) -> [f32; 2], end: f32) -> Option<f32> {
    const STEPS: usize = 200;
    let at = |i: usize| end * i as f32 / STEPS as f32;
    let mut last = value(grid, line(0.0))?;
    for i in 1..=STEPS {
        let Some(now) = value(grid, line(at(i))) else { continue };
        if now <= 0.0 {
            return Some(at(i - 1) + (at(i) - at(i - 1)) * last / (last - now));
        }
        last = now;
    }
    None
}
