//! The transport of adversarial logits to clean logits: on one line, summed over lines, and as arrows in a plane.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, SeriesStyle},
        domain::format::{sentence, share, short, times},
        present::{
            figures::{Figure, axes},
            model_label::ModelLabel,
        },
    },
    explore::transport::{ProjectedImage, Projection, TransportArrow, TransportPlan},
};

/// The estimate has converged if the second half of the lines changes it by less than this fraction.
const CONVERGED: f32 = 0.1;

/// The sliced Wasserstein distance of a batch: the matching on line number `line`, the value as lines are added, and the plane,
/// where image number `image` is highlighted.
pub fn figure(label: ModelLabel, plan: &TransportPlan, line: usize, image: usize) -> Figure {
    let Some(projection) = plan.projections.get(line) else { return Figure::default() };
    let lines = plan.projections.len();
    let descriptions = [along(projection, line), convergence(plan), pull(label, plan, image)];
    let caption = if plan.value == 0.0 {
        let text = "has equally distributed clean and adversarial logits: there is nothing to transport.";
        sentence(&format!("{} {text}", label.with_article()))
    } else {
        descriptions.join(" ").trim_end().to_owned()
    };
    let [along, convergence, pull] = descriptions;
    let charts = vec![
        Chart {
            title: format!("Line {} of {lines}: adversarial values matched with clean ones", line + 1),
            description: along,
            ..matching(projection)
        },
        Chart { title: "L_SW as lines are added".into(), description: convergence, ..cumulative(plan) },
        Chart {
            title: "Where all lines together pull the adversarial logits".into(),
            description: pull,
            ..plane(plan, image)
        },
    ];
    Figure { caption, charts }
}

fn along(projection: &Projection, line: usize) -> String {
    let distance = short(projection.mean_square.sqrt());
    let part = share(projection.share);
    format!(
        "Along line {} the adversarial values must move {distance} logits to match the clean ones (root mean square); this is \
         {part} of L_SW.",
        line + 1
    )
}

fn convergence(plan: &TransportPlan) -> String {
    let lines = plan.projections.len();
    let value = short(plan.value);
    if lines == 1 {
        return format!("A single line gives L_SW = {value}.");
    }
    let half = plan.projections[(lines - 1) / 2].cumulative;
    let change = (plan.value - half).abs() / plan.value;
    let (verb, changed) =
        if change < CONVERGED { ("has converged", "changed") } else { ("has not converged", "still changed") };
    format!("With {lines} lines L_SW = {value} {verb}: the second half of them {changed} it by {}.", share(change))
}

/// How far the logits of an image are pulled, compared with the other images.
fn pull(label: ModelLabel, plan: &TransportPlan, image: usize) -> String {
    let images = plan.arrows.len();
    let classes = (plan.movement.len() / images.max(1)).max(1);
    let length = |movement: &[f32]| movement.iter().map(|value| value * value).sum::<f32>().sqrt();
    let lengths: Vec<f32> = plan.movement.chunks(classes).map(length).collect();
    let Some(&pulled) = lengths.get(image) else { return String::new() };
    let mean = lengths.iter().sum::<f32>() / images as f32;
    let comparison = match times(pulled, mean) {
        Some(times) if images > 1 => format!(", {times} times the mean of the {images} images"),
        _ => String::new(),
    };
    let (model, distance) = (label.with_article(), short(pulled));
    format!("The logits of {model} for this image are pulled back by {distance} logits{comparison}.")
}

/// The clean and the adversarial values on one line, matched by rank.
fn matching(projection: &Projection) -> Chart {
    let points = |images: &[ProjectedImage], y: f32| images.iter().map(|image| [image.value, y]).collect::<Vec<_>>();
    let (clean, adversarial) = (points(&projection.clean, 1.0), points(&projection.adversarial, 0.0));
    let pairs = adversarial.iter().zip(&clean).map(|(a, c)| [a[0], a[1], c[0], c[1]]).collect();
    Chart {
        name: "transport-line".into(),
        x: Axis::new("value along the line", "logits"),
        marks: vec![
            Mark::new("equal rank", SeriesStyle::Soft, Form::Segments(pairs)),
            Mark::new("original", SeriesStyle::Clean, Form::Points(clean)),
            Mark::new("adversarial", SeriesStyle::Adversarial, Form::Points(adversarial)),
        ],
        ..Chart::default()
    }
}

/// The value of each line, and the mean of the lines so far.
fn cumulative(plan: &TransportPlan) -> Chart {
    let points = |value: fn(&Projection) -> f32| {
        plan.projections.iter().enumerate().map(|(k, projection)| [(k + 1) as f32, value(projection)]).collect()
    };
    Chart {
        name: "transport-settles".into(),
        x: Axis::new("lines", ""),
        y: Axis::new("squared distance", "logits²").including(0.0, 0.0),
        marks: vec![
            Mark::new("each line", SeriesStyle::Soft, Form::Points(points(|projection| projection.mean_square))),
            Mark::new("mean so far", SeriesStyle::Standard, Form::Line(points(|projection| projection.cumulative))),
        ],
        ..Chart::default()
    }
}

/// The logits in their principal plane, with arrows from the adversarial logits along the pull.
fn plane(plan: &TransportPlan, image: usize) -> Chart {
    let arrow = |arrow: &TransportArrow| [arrow.adversarial[0], arrow.adversarial[1], arrow.to[0], arrow.to[1]];
    let others = plan.arrows.iter().enumerate().filter(|(i, _)| *i != image).map(|(_, other)| arrow(other)).collect();
    let points = |point: fn(&TransportArrow) -> [f32; 2]| plan.arrows.iter().map(point).collect();
    let mut marks = vec![
        Mark::new("pull of all lines", SeriesStyle::Soft, Form::Arrows(others)),
        Mark::new("original", SeriesStyle::Clean, Form::Points(points(|arrow| arrow.clean))),
        Mark::new("adversarial", SeriesStyle::Adversarial, Form::Points(points(|arrow| arrow.adversarial))),
    ];
    if let Some(highlighted) = plan.arrows.get(image) {
        marks.push(Mark::new("of this image", SeriesStyle::Robust, Form::Arrows(vec![arrow(highlighted)])));
    }
    let [x, y] = axes(&plan.plane);
    Chart { name: "transport-plane".into(), x, y, equal: true, marks, ..Chart::default() }
}
