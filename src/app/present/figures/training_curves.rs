//! Charts of a training run: losses, learning rate, accuracy, the last batch, the tracked image.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, SeriesStyle},
        domain::format::{percent, short},
        present::{
            figures::{Figure, embedding, layer_shift, transport},
            model_label::ModelLabel,
        },
        state::run::{AccuracyPoint, Run},
    },
    explore::probe::LatentPath,
    loss::Objective,
    prediction::top,
    protocol::TrackedImage,
    train::{Record, TrainConfig},
};

/// Maximum number of points of a line. More would not be visible.
const MAX_POINTS: usize = 400;

/// Number of steps that the first and the last mean loss are computed of.
const MEAN_STEPS: usize = 20;

/// At most [`MAX_POINTS`] evenly chosen items, including the first and the last.
fn thinned<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let n = all.len().min(MAX_POINTS);
    (0..n).map(move |i| &all[i * (all.len() - 1) / (n - 1).max(1)])
}

/// The weights of the distance and of R in the loss.
fn weights(config: &TrainConfig) -> [f32; 2] {
    let coefficients = &config.coefficients;
    let distance = match config.objective {
        Objective::Trades => coefficients.beta_trades,
        Objective::Alp => coefficients.beta_alp,
        Objective::Sinkhorn => coefficients.lambda_sinkhorn,
        _ => coefficients.lambda_sw,
    };
    [distance, coefficients.lambda_jac]
}

/// The loss of each step and its weighted terms. An objective without a term has no line for it.
pub fn losses(run: &Run) -> Option<Chart> {
    let last = run.records.last()?;
    let [distance_weight, jacobian_weight] = weights(&run.config);
    let line = |series: &str, style: SeriesStyle, value: &dyn Fn(&Record) -> Option<f32>| {
        let point = |record: &Record| [record.step as f32, value(record).unwrap_or(f32::NAN)];
        Mark::new(series, style, Form::Line(thinned(&run.records).map(point).collect()))
    };
    let mut marks = vec![line("total", SeriesStyle::Standard, &|record| Some(record.loss))];
    // Without other terms, the cross-entropy is the total.
    if last.distance.is_some() || last.jacobian.is_some() {
        marks.push(line("cross-entropy", SeriesStyle::Clean, &|record| Some(record.ce)));
    }
    if last.distance.is_some() {
        let series = format!("{} × distance", short(distance_weight));
        let value = |record: &Record| record.distance.map(|distance| distance_weight * distance);
        marks.push(line(&series, SeriesStyle::Adversarial, &value));
    }
    if last.jacobian.is_some() {
        let series = format!("{} × R", short(jacobian_weight));
        let value = |record: &Record| record.jacobian.map(|jacobian| jacobian_weight * jacobian);
        marks.push(line(&series, SeriesStyle::Robust, &value));
    }
    Some(Chart {
        name: "training-losses".into(),
        title: "Loss of each step and its terms".into(),
        description: loss_change(run),
        x: Axis::new("step", "").integer(),
        y: Axis::new("loss", "").including(0.0, 0.0),
        marks,
        ..Chart::default()
    })
}

/// The change of the loss since the start, and the terms of the last step.
pub fn loss_change(run: &Run) -> String {
    let records = &run.records;
    let Some(last) = records.last() else { return String::new() };
    let mut terms = vec![format!("cross-entropy {}", short(last.ce))];
    terms.extend(last.distance.map(|distance| format!("distance {}", short(distance))));
    terms.extend(last.jacobian.map(|jacobian| format!("R {}", short(jacobian))));
    let last_step = format!("The last step: {}.", terms.join(", "));
    if records.len() < 2 * MEAN_STEPS {
        return last_step;
    }
    let mean = |part: &[Record]| part.iter().map(|record| record.loss).sum::<f32>() / part.len() as f32;
    let (before, after) = (mean(&records[..MEAN_STEPS]), mean(&records[records.len() - MEAN_STEPS..]));
    let change = if after < 0.98 * before {
        format!("fell from {} to {}", short(before), short(after))
    } else if after > 1.02 * before {
        format!("rose from {} to {}", short(before), short(after))
    } else {
        format!("stayed at about {}", short(after))
    };
    format!("The loss {change} (means of {MEAN_STEPS} steps). {last_step}")
}

/// The learning rate of each step.
pub fn rates(run: &Run) -> Option<Chart> {
    let last = run.records.last()?;
    let points = thinned(&run.records).map(|record| [record.step as f32, record.rate]).collect();
    Some(Chart {
        name: "training-rate".into(),
        title: "Learning rate".into(),
        description: format!("The learning rate is {} at step {}.", short(last.rate), last.step),
        x: Axis::new("step", "").integer(),
        y: Axis::new("learning rate", "").including(0.0, 0.0),
        marks: vec![Mark::new("", SeriesStyle::Standard, Form::Line(points))],
        ..Chart::default()
    })
}

/// An accuracy of each snapshot in percent, over the steps.
pub(crate) fn percent_points(points: &[AccuracyPoint], accuracy: impl Fn(&AccuracyPoint) -> f32) -> Vec<[f32; 2]> {
    thinned(points).map(|point| [point.step as f32, 100.0 * accuracy(point)]).collect()
}

/// Clean and robust accuracy on the held-out images at each snapshot.
pub fn accuracies(run: &Run) -> Option<Chart> {
    run.points.first()?;
    let clean = percent_points(&run.points, |point| point.clean);
    let robust = percent_points(&run.points, |point| point.robust);
    let mut marks = Vec::new();
    for (series, style, points) in [("clean", SeriesStyle::Clean, clean), ("robust", SeriesStyle::Adversarial, robust)]
    {
        marks.push(Mark::new(series, style, Form::Line(points.clone())));
        marks.push(Mark::new(series, style, Form::Points(points)));
    }
    Some(Chart {
        name: "training-accuracy".into(),
        title: format!("Accuracy on {} held-out images", run.info.held_out),
        description: accuracy_summary(run),
        x: Axis::new("step", "").integer(),
        y: Axis::new("accuracy", "%").including(0.0, 100.0),
        marks,
        ..Chart::default()
    })
}

/// The accuracies of the first and of the last snapshot.
pub fn accuracy_summary(run: &Run) -> String {
    let summary = |point: &AccuracyPoint| {
        let (clean, robust) = (percent(point.clean), percent(point.robust));
        format!("{}: clean accuracy {clean}, robust accuracy {robust}.", step_phrase(point.step))
    };
    match &run.points[..] {
        [] => String::new(),
        [only] => summary(only),
        [first, .., last] => format!("{} {}", summary(first), summary(last)),
    }
}

/// A time, at the beginning of a sentence.
fn step_phrase(step: u64) -> String {
    if step == 0 { "Before training".into() } else { format!("After step {step}") }
}

/// A snapshot of the current image.
struct TrackedSnapshot<'a> {
    label: ModelLabel,
    step: u64,
    image: &'a TrackedImage,
}

/// The current image under the model of the first and of the last snapshot.
pub fn tracked_image(run: &Run) -> Figure {
    let snapshots = tracked_snapshots(run);
    if snapshots.is_empty() {
        return Figure::default();
    }
    let shifts: Vec<_> = snapshots.iter().map(|snapshot| (snapshot.label, &snapshot.image.shifts[..])).collect();
    let mut figure = layer_shift::figure(&shifts);
    let mut sentences = Vec::new();
    for TrackedSnapshot { label, step, image } in &snapshots {
        sentences.push(prediction_sentence(run, *step, image));
        let predictions = [top(&image.clean), top(&image.adversarial)];
        let LatentPath { reference, path } = &image.latents;
        let map = embedding::figure(*label, reference, &run.info.classes, path, predictions);
        for mut chart in map.charts {
            chart.name = format!("{}-step-{step}", chart.name);
            figure.charts.push(chart);
        }
    }
    figure.caption = format!("{} {}", sentences.join(" "), figure.caption).trim_end().into();
    figure
}

/// The first and the last snapshot with the current image. If they are the same, it is the last.
fn tracked_snapshots(run: &Run) -> Vec<TrackedSnapshot<'_>> {
    let snapshots = [(ModelLabel::First, &run.first_snapshot), (ModelLabel::Now, &run.last_snapshot)];
    let mut tracked: Vec<TrackedSnapshot> = Vec::new();
    for (label, snapshot) in snapshots {
        if let Some(snapshot) = snapshot
            && let Some(image) = &snapshot.tracked
        {
            tracked.retain(|earlier| earlier.step != snapshot.step);
            tracked.push(TrackedSnapshot { label, step: snapshot.step, image });
        }
    }
    tracked
}

fn prediction_sentence(run: &Run, step: u64, image: &TrackedImage) -> String {
    let prediction = |probabilities: &[f32]| {
        let class = top(probabilities);
        let probability = probabilities.get(class).copied().unwrap_or(f32::NAN);
        format!("{} ({})", class_name(run, class), percent(probability))
    };
    let (clean, adversarial) = (prediction(&image.clean), prediction(&image.adversarial));
    format!("{} the model predicts {clean}, and {adversarial} for the adversarial image.", step_phrase(step))
}

/// The name of a class.
pub fn class_name(run: &Run, class: usize) -> String {
    run.info.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}

/// The transport from the adversarial to the clean logits of the last batch: on one line, and in the plane.
pub fn last_batch(run: &Run) -> Figure {
    let batch = run.last_snapshot.as_ref().and_then(|snapshot| snapshot.batch.as_ref());
    let Some(plan) = batch.and_then(|batch| batch.transport.as_ref()) else { return Figure::default() };
    let mut figure = transport::figure(ModelLabel::Now, plan, 0, 0);
    // The convergence of the value is shown in the explorer only.
    if figure.charts.len() == 3 {
        figure.charts.remove(1);
    }
    for mark in figure.charts.iter_mut().flat_map(|chart| &mut chart.marks) {
        mark.series = mark.series.replace("this image", "the first image");
    }
    let (value, distance) = (short(plan.value), short(plan.value.sqrt()));
    figure.caption = format!(
        "L_SW of this batch is {value}: along a random line the adversarial logits are {distance} away from the clean ones \
         (root mean square)."
    );
    figure
}
