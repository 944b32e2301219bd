//! The loss around an image: a map of the margin with the decision boundary, and a map of the loss.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Grid, Mark, Scale, Tone},
        domain::format::{sentence, share, short},
        present::{figures::Figure, model_label::ModelLabel},
    },
    explore::landscape::LandscapeValues,
};

/// The landscape of a window over `range` with `side` points along each side; also while only its first rows are known.
pub fn figure(whose: ModelLabel, landscape: &LandscapeValues, range: [f32; 2], side: usize) -> Figure {
    let step = (range[1] - range[0]) / (side as f32 - 1.0).max(1.0);
    let grid = |values: &[f32]| {
        let rows = values.len() / side.max(1);
        let top = range[0] + step * (rows as f32 - 1.0);
        let values = &values[..rows * side];
        // Cells around the points, also in a single row.
        let [x, y] = [[range[0], range[1]], [range[0], top]].map(|[low, high]| [low - step / 2.0, high + step / 2.0]);
        Grid { x, y, columns: side, values: values.to_vec() }
    };
    if side < 2 || landscape.margin.len() < side || landscape.loss.len() < side {
        return Figure::default();
    }
    let (margin, loss) = (grid(&landscape.margin), grid(&landscape.loss));
    let words = tell(whose, &margin);
    let boundary = margin.contour(0.0);
    let chart = |name: &str, title: String, map: Mark| Chart {
        name: name.into(),
        title,
        description: words.clone(),
        x: Axis::new("towards the adversarial image, which is at 1", "").least(range[0], range[1]),
        y: Axis::new("in a random direction of the same size", "").least(range[0], range[1]),
        equal: true,
        marks: vec![
            map,
            Mark::new("boundary: margin 0", Tone::Standard, Form::Segments(boundary.clone())),
            Mark::new("original", Tone::Clean, Form::Points(vec![[0.0, 0.0]])),
            Mark::new("attacked", Tone::Adversarial, Form::Points(vec![[1.0, 0.0]])),
        ],
        ..Chart::default()
    };
    let the = whose.with_article();
    let charts = vec![
        chart(
            "landscape-margin",
            format!("The margin of {the} around the image"),
            Mark::new("margin, logits", Tone::Soft, Form::Map(margin, Scale::Diverging)),
        ),
        chart(
            "landscape-loss",
            format!("The loss of {the} that the attack climbs"),
            Mark::new("loss, nats", Tone::Soft, Form::Map(loss, Scale::Sequential)),
        ),
    ];
    Figure { caption: words, charts }
}

/// The margin from the original to the adversarial image, and in the other direction.
fn tell(whose: ModelLabel, margin: &Grid<f32>) -> String {
    let (Some(here), Some(there)) = (value(margin, [0.0, 0.0]), value(margin, [1.0, 0.0])) else {
        return String::new();
    };
    let the = whose.with_article();
    if here <= 0.0 {
        return format!("The original itself is beyond the boundary of {the}: its margin is {}.", short(here));
    }
    let towards = if there <= 0.0 {
        let gone = falls(margin, |part| [part, 0.0], 1.0).unwrap_or(1.0);
        format!(
            "towards the adversarial image the margin of {the} falls from {} to {} logits: the boundary is crossed after {} of the way",
            short(here),
            short(there),
            share(gone)
        )
    } else {
        let end = margin.x[1];
        let later = match falls(margin, |s| [s, 0.0], end) {
            Some(s) => format!("; it would be gone at {} times that change", short(s)),
            None => ", and the boundary is not met on this map in that direction".into(),
        };
        let change = if there < here { "falls" } else { "goes" };
        format!(
            "towards the adversarial image the margin of {the} only {change} from {} to {} logits{later}",
            short(here),
            short(there)
        )
    };
    // Both ways along the random direction, as far as the map goes.
    let aside =
        [1.0, -1.0].into_iter().filter_map(|sign| falls(margin, |t| [0.0, sign * t], margin.y[1])).reduce(f32::min);
    let aside = match aside {
        Some(t) => format!("In a random direction it is gone at {} times that size.", short(t)),
        None => "In a random direction of the same size it stays above 0 as far as this map goes.".into(),
    };
    format!("{}. {aside}", sentence(&towards))
}

/// The value at a point, linear between the middles of the four cells around; none outside of the map.
fn value(grid: &Grid<f32>, [x, y]: [f32; 2]) -> Option<f32> {
    let place = |[low, high]: [f32; 2], v: f32, cells: usize| {
        let at = (v - low) / (high - low) * cells as f32 - 0.5;
        // A point on the outermost line of middles is on the map, also after rounding.
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

/// How far along a line, of at most `end`, the values first fall to 0.
fn falls(grid: &Grid<f32>, line: impl Fn(f32) -> [f32; 2], end: f32) -> Option<f32> {
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
