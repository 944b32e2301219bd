//! The image among others in the plane of a model's latents, and the path of the attack through the class regions.

use crate::{
    app::{
        chart::{Chart, Form, Grid, Mark, SeriesStyle},
        domain::format::{sentence, share, short},
        present::{
            figures::{Figure, axes},
            model_label::ModelLabel,
        },
    },
    explore::embedding::Embedding,
};

/// Movements below this fraction of the distance between two class centers are called small.
const SMALL: f32 = 0.25;

/// The reference images of `embedding`, the decision regions, and the path of the attack. `path` starts at the clean image
/// and ends at the adversarial image, `predictions` are their predicted classes, and `classes` are the names of all classes.
pub fn figure(
    label: ModelLabel,
    embedding: &Embedding,
    classes: &[String],
    path: &[[f32; 2]],
    predictions: [usize; 2],
) -> Figure {
    let name = |class: usize| classes.get(class).map_or_else(|| format!("class {class}"), String::clone);
    let (Some(&first), Some(&last)) = (path.first(), path.last()) else { return Figure::default() };
    let caption = caption(label, embedding, &name, [first, last], predictions);
    let largest_label = embedding.labels.iter().map(|&label| usize::from(label) + 1).max().unwrap_or(0);
    let class_names: Vec<String> = (0..classes.len().max(largest_label)).map(name).collect();
    let mut marks = vec![regions_mark(embedding, class_names.clone())];
    for (class, name) in class_names.iter().enumerate() {
        let points: Vec<[f32; 2]> = points_of_class(embedding, class).collect();
        if !points.is_empty() {
            marks.push(Mark::new(name, SeriesStyle::Class(class), Form::Points(points)));
        }
    }
    let steps = path.windows(2).map(|step| [step[0][0], step[0][1], step[1][0], step[1][1]]).collect();
    marks.push(Mark::new("path of the attack", SeriesStyle::Standard, Form::Segments(steps)));
    marks.push(Mark::new("original", SeriesStyle::Clean, Form::Points(vec![first])));
    marks.push(Mark::new("adversarial", SeriesStyle::Adversarial, Form::Points(vec![last])));
    let [x, y] = axes(&embedding.plane);
    let chart = Chart {
        name: "embedding".into(),
        title: format!("The image among {} others in the latents of {}", embedding.points.len(), label.with_article()),
        description: caption.clone(),
        x,
        y,
        equal: true,
        marks,
        ..Chart::default()
    };
    Figure { caption, charts: vec![chart] }
}

fn regions_mark(embedding: &Embedding, class_names: Vec<String>) -> Mark {
    let regions = &embedding.regions;
    let grid = Grid {
        x: [regions.bounds.low[0], regions.bounds.high[0]],
        y: [regions.bounds.low[1], regions.bounds.high[1]],
        columns: regions.side,
        values: regions.classes.iter().map(|&class| usize::from(class)).collect(),
    };
    Mark::new("", SeriesStyle::Soft, Form::Regions(grid, class_names))
}

fn points_of_class(embedding: &Embedding, class: usize) -> impl Iterator<Item = [f32; 2]> {
    let labeled = embedding.points.iter().zip(&embedding.labels);
    labeled.filter(move |(_, label)| usize::from(**label) == class).map(|(point, _)| *point)
}

fn center(embedding: &Embedding, class: usize) -> Option<[f32; 2]> {
    let points: Vec<[f32; 2]> = points_of_class(embedding, class).collect();
    if points.is_empty() {
        return None;
    }
    let mean = |axis: usize| points.iter().map(|point| point[axis]).sum::<f32>() / points.len() as f32;
    Some([mean(0), mean(1)])
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn caption(
    label: ModelLabel,
    embedding: &Embedding,
    name: &impl Fn(usize) -> String,
    [from, to]: [[f32; 2]; 2],
    [before, after]: [usize; 2],
) -> String {
    let model = label.with_article();
    let moved = distance(from, to);
    if moved == 0.0 {
        return format!("In the plane of {model} the image does not move.");
    }
    let other = if before == after { nearest_other_class(embedding, from, before) } else { Some(after) };
    let scale = other.and_then(|other| Some(distance(center(embedding, before)?, center(embedding, other)?)));
    let scale = scale.filter(|scale| *scale > 0.0);
    let movement = match (other, scale) {
        (Some(other), Some(scale)) => {
            let relative = share(moved / scale);
            format!("{relative} of the distance between the centers of {} and {}", name(before), name(other))
        }
        _ => format!("a distance of {}", short(moved)),
    };
    if before == after {
        let only = if scale.is_some_and(|scale| moved < SMALL * scale) { "only " } else { "" };
        let text = format!("{model} still predicts {}: the adversarial image moves {only}{movement}.", name(before));
        return sentence(&text);
    }
    let (before_name, after_name) = (name(before), name(after));
    let (start, end) = (region(embedding, from), region(embedding, to));
    if start != end && end == Some(after) {
        return sentence(&format!(
            "{model} maps the adversarial image across a boundary, from {before_name} into the region of {after_name}: it \
             moves {movement}."
        ));
    }
    let explained = share(embedding.plane.explained.iter().sum());
    sentence(&format!(
        "{model} predicts {after_name} instead of {before_name}, but this plane does not show the crossing (it explains \
         {explained} of the variance): here the image moves {movement}."
    ))
}

/// The class other than `class` whose center is nearest to a point.
fn nearest_other_class(embedding: &Embedding, point: [f32; 2], class: usize) -> Option<usize> {
    let others = embedding.labels.iter().map(|&label| usize::from(label)).filter(|&other| other != class);
    let distances = others.filter_map(|other| Some((other, distance(point, center(embedding, other)?))));
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(other, _)| other)
}

/// The class of the decision region at a point; `None` outside of the map.
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
