//! The image among others in the plane of a model's latents, and the path of the attack through the class regions.

use crate::{
    app::{
        chart::{Chart, Form, Grid, Mark, Tone},
        domain::format::{sentence, share, short},
        present::{
            figures::{Figure, axes},
            model_label::ModelLabel,
        },
    },
    explore::embedding::Embedding,
};

/// Less than this part of the way to the other class's center is called little.
const LITTLE: f32 = 0.25;

/// The reference images of `embedding` with the attack's way over them: `path` goes from the clean to the adversarial image,
/// `seen` are the classes that the model gives to both, `classes` the names of all.
pub fn figure(
    whose: ModelLabel,
    embedding: &Embedding,
    classes: &[String],
    path: &[[f32; 2]],
    seen: [usize; 2],
) -> Figure {
    let name = |class: usize| classes.get(class).map_or_else(|| format!("class {class}"), String::clone);
    let [.., last] = path else { return Figure::default() };
    let (first, last) = (path[0], *last);
    let words = tell(whose, embedding, &name, [first, last], seen);
    let regions = &embedding.regions;
    let grid = Grid {
        x: [regions.bounds.low[0], regions.bounds.high[0]],
        y: [regions.bounds.low[1], regions.bounds.high[1]],
        columns: regions.side,
        values: regions.classes.iter().map(|&c| usize::from(c)).collect(),
    };
    let number = classes.len().max(embedding.labels.iter().map(|&l| usize::from(l) + 1).max().unwrap_or(0));
    let mut marks = vec![Mark::new("", Tone::Soft, Form::Regions(grid, (0..number).map(name).collect()))];
    for class in 0..number {
        let points: Vec<[f32; 2]> = of_class(embedding, class).collect();
        if !points.is_empty() {
            marks.push(Mark::new(&name(class), Tone::Class(class), Form::Points(points)));
        }
    }
    let steps = path.windows(2).map(|w| [w[0][0], w[0][1], w[1][0], w[1][1]]).collect();
    marks.push(Mark::new("path of the attack", Tone::Standard, Form::Segments(steps)));
    marks.push(Mark::new("original", Tone::Clean, Form::Points(vec![first])));
    marks.push(Mark::new("attacked", Tone::Adversarial, Form::Points(vec![last])));
    let [x, y] = axes(&embedding.plane);
    let chart = Chart {
        name: "embedding".into(),
        title: format!("Where {} puts the image among {} others", whose.with_article(), embedding.points.len()),
        description: words.clone(),
        x,
        y,
        equal: true,
        marks,
        ..Chart::default()
    };
    Figure { caption: words, charts: vec![chart] }
}

fn of_class(embedding: &Embedding, class: usize) -> impl Iterator<Item = [f32; 2]> {
    let both = embedding.points.iter().zip(&embedding.labels);
    both.filter(move |(_, label)| usize::from(**label) == class).map(|(point, _)| *point)
}

fn center(embedding: &Embedding, class: usize) -> Option<[f32; 2]> {
    let points: Vec<[f32; 2]> = of_class(embedding, class).collect();
    let mean = |axis: usize| points.iter().map(|p| p[axis]).sum::<f32>() / points.len() as f32;
    (!points.is_empty()).then(|| [mean(0), mean(1)])
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn tell(
    whose: ModelLabel,
    embedding: &Embedding,
    name: &impl Fn(usize) -> String,
    [from, to]: [[f32; 2]; 2],
    [before, after]: [usize; 2],
) -> String {
    let moved = distance(from, to);
    if moved == 0.0 {
        return format!("In the plane of {} the image stays where it is.", whose.with_article());
    }
    // Against the class that it becomes; if it becomes none, against the nearest other one.
    let other = match before == after {
        false => Some(after),
        true => {
            let away = |class: usize| center(embedding, class).map(|c| (class, distance(from, c)));
            let others = embedding.labels.iter().map(|&l| usize::from(l)).filter(|&c| c != before).filter_map(away);
            others.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class)
        }
    };
    let apart = other.and_then(|o| Some(distance(center(embedding, before)?, center(embedding, o)?)));
    let how_far = match (other, apart.filter(|a| *a > 0.0)) {
        (Some(other), Some(apart)) => {
            let of = share(moved / apart);
            format!("{of} of the distance between the centers of {} and {}", name(before), name(other))
        }
        _ => format!("a length of {}", short(moved)),
    };
    let (the, regions) = (whose.with_article(), [region(embedding, from), region(embedding, to)]);
    let explained = share(embedding.plane.explained.iter().sum());
    match (before == after, regions) {
        (false, [a, b]) if a != b && b == Some(after) => sentence(&format!(
            "{the} takes the adversarial image across a boundary, from {} into the region of {}: it moves {how_far}.",
            name(before),
            name(after)
        )),
        (false, _) => sentence(&format!(
            "{the} sees {} become {}, though this plane does not show the crossing (it holds {explained} of the variance): \
             here the image moves {how_far}.",
            name(before),
            name(after)
        )),
        (true, _) => {
            let much = if apart.is_some_and(|apart| moved < LITTLE * apart) { "only " } else { "" };
            sentence(&format!("{the} still sees {}: the adversarial image moves {much}{how_far}.", name(before)))
        }
    }
}

/// The class of the region that a point lies in; none outside of the map.
fn region(embedding: &Embedding, point: [f32; 2]) -> Option<usize> {
    let regions = &embedding.regions;
    if !regions.bounds.contains(point) {
        return None;
    }
    let cell = |axis: usize| {
        let (low, high) = (regions.bounds.low[axis], regions.bounds.high[axis]);
        (((point[axis] - low) / (high - low) * regions.side as f32) as usize).min(regions.side.saturating_sub(1))
    };
    regions.classes.get(cell(1) * regions.side + cell(0)).map(|&class| usize::from(class))
}
