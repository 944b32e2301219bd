//! Charts of a training run: losses, learning rate, accuracy, the last batch, the tracked image.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, Tone},
        domain::format::{percent, short},
        present::{
            figures::{Figure, embedding, layer_shift, transport},
            model_label::ModelLabel,
        },
        state::run::{AccuracyPoint, Run},
    },
    loss::Objective,
    prediction::top,
    protocol::{RunSnapshot, TrackedImage},
    train::{Record, TrainConfig},
};

/// Points of a line, at most: more are not seen.
const POINTS: usize = 400;

/// Steps whose mean stands for the beginning, and for now.
const MEAN: usize = 20;

/// At most [`POINTS`] of all, evenly chosen, the first and the last among them.
fn thinned<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let n = all.len().min(POINTS);
    (0..n).map(move |i| &all[i * (all.len() - 1) / (n - 1).max(1)])
}

/// What distance and R are multiplied by in the loss.
fn weights(config: &TrainConfig) -> [f32; 2] {
    let c = &config.coefficients;
    let distance = match config.objective {
        Objective::Trades => c.beta_trades,
        Objective::Alp => c.beta_alp,
        Objective::Sinkhorn => c.lambda_sinkhorn,
        _ => c.lambda_sw,
    };
    [distance, c.lambda_jac]
}

/// The loss of each step and its parts as they count; an objective without a part has no line for it.
pub fn losses(run: &Run) -> Option<Chart> {
    let last = run.records.last()?;
    let [distance, jacobian] = weights(&run.config);
    let mut marks = Vec::new();
    let mut add = |series: &str, tone: Tone, value: &dyn Fn(&Record) -> Option<f32>| {
        let points = thinned(&run.records).map(|r| [r.step as f32, value(r).unwrap_or(f32::NAN)]);
        marks.push(Mark::new(series, tone, Form::Line(points.collect())));
    };
    add("total", Tone::Standard, &|r| Some(r.loss));
    // Alone it is the total.
    if last.distance.is_some() || last.jacobian.is_some() {
        add("cross-entropy", Tone::Clean, &|r| Some(r.ce));
    }
    if last.distance.is_some() {
        let series = format!("{} × distance", short(distance));
        add(&series, Tone::Adversarial, &|r| r.distance.map(|d| distance * d));
    }
    if last.jacobian.is_some() {
        add(&format!("{} × R", short(jacobian)), Tone::Robust, &|r| r.jacobian.map(|j| jacobian * j));
    }
    Some(Chart {
        name: "training-losses".into(),
        title: "The loss of each step and its terms".into(),
        description: loss_change(run),
        x: Axis::new("step", "").counts(),
        y: Axis::new("loss", "").least(0.0, 0.0),
        marks,
        ..Chart::default()
    })
}

/// What the losses say.
pub fn loss_change(run: &Run) -> String {
    let all = &run.records;
    let Some(last) = all.last() else { return String::new() };
    let mean = |part: &[Record]| part.iter().map(|r| r.loss).sum::<f32>() / part.len() as f32;
    let parts =
        [Some(("cross-entropy", last.ce)), last.distance.map(|d| ("distance", d)), last.jacobian.map(|j| ("R", j))];
    let parts: Vec<String> = parts.into_iter().flatten().map(|(name, v)| format!("{name} {}", short(v))).collect();
    let now = format!("The last step: {}.", parts.join(", "));
    if all.len() < 2 * MEAN {
        return now;
    }
    let (before, after) = (mean(&all[..MEAN]), mean(&all[all.len() - MEAN..]));
    let how = if after < 0.98 * before {
        format!("fell from {} to {}", short(before), short(after))
    } else if after > 1.02 * before {
        format!("rose from {} to {}", short(before), short(after))
    } else {
        format!("stayed at about {}", short(after))
    };
    format!("The loss {how} (means of {MEAN} steps). {now}")
}

/// The learning rate of each step.
pub fn rates(run: &Run) -> Option<Chart> {
    let last = run.records.last()?;
    let points = thinned(&run.records).map(|r| [r.step as f32, r.rate]).collect();
    Some(Chart {
        name: "training-rate".into(),
        title: "Learning rate".into(),
        description: format!("The learning rate is {} at step {}.", short(last.rate), last.step),
        x: Axis::new("step", "").counts(),
        y: Axis::new("learning rate", "").least(0.0, 0.0),
        marks: vec![Mark::new("", Tone::Standard, Form::Line(points))],
        ..Chart::default()
    })
}

/// The share of held-out images that each look found right, in %, of those that `of` picks.
pub(crate) fn percent_points(points: &[AccuracyPoint], of: impl Fn(&AccuracyPoint) -> f32) -> Vec<[f32; 2]> {
    thinned(points).map(|p| [p.step as f32, 100.0 * of(p)]).collect()
}

/// How many held-out images the run gets right, clean and under attack, look after look.
pub fn accuracies(run: &Run) -> Option<Chart> {
    run.points.first()?;
    let mut marks = Vec::new();
    for (series, tone, of) in [
        ("clean", Tone::Clean, (|p| p.clean) as fn(&AccuracyPoint) -> f32),
        ("under attack", Tone::Adversarial, |p| p.robust),
    ] {
        let points = percent_points(&run.points, of);
        marks.extend([Form::Line(points.clone()), Form::Points(points)].map(|form| Mark::new(series, tone, form)));
    }
    Some(Chart {
        name: "training-accuracy".into(),
        title: format!("Right, of {} held-out images", run.info.held_out),
        description: accuracy_summary(run),
        x: Axis::new("step", "").counts(),
        y: Axis::new("right", "%").least(0.0, 100.0),
        marks,
        ..Chart::default()
    })
}

/// What the looks say.
pub fn accuracy_summary(run: &Run) -> String {
    let [first, .., last] = &run.points[..] else {
        let only = run.points.first();
        return only.map(|p| format!("{}: {}.", step_phrase(p.step), accuracy_phrase(p))).unwrap_or_default();
    };
    format!(
        "{}: {}. {}: {}.",
        step_phrase(first.step),
        accuracy_phrase(first),
        step_phrase(last.step),
        accuracy_phrase(last)
    )
}

/// When it was, at the beginning of a sentence.
fn step_phrase(step: u64) -> String {
    if step == 0 { "Before training".into() } else { format!("After step {step}") }
}

fn accuracy_phrase(point: &AccuracyPoint) -> String {
    format!("{} of the held-out images right, {} under attack", percent(point.clean), percent(point.robust))
}

/// The image in view under the run's model at its first look and at its last.
pub fn tracked_image(run: &Run) -> Figure {
    let looks = [(ModelLabel::First, &run.first_snapshot), (ModelLabel::Now, &run.last_snapshot)];
    let mut all: Vec<(ModelLabel, &RunSnapshot, &TrackedImage)> = Vec::new();
    for (whose, look) in looks {
        if let Some(look) = look
            && let Some(followed) = &look.tracked
        {
            // While there is one look only, it is now.
            all.retain(|(_, before, _)| before.step != look.step);
            all.push((whose, look, followed));
        }
    }
    if all.is_empty() {
        return Figure::default();
    }
    let shifts: Vec<_> = all.iter().map(|(whose, _, followed)| (*whose, &followed.shifts[..])).collect();
    let mut view = layer_shift::figure(&shifts);
    for (whose, look, TrackedImage { clean, adversarial: attacked, latents: way, .. }) in &all {
        let mut map =
            embedding::figure(*whose, &way.reference, &run.info.classes, &way.path, [top(clean), top(attacked)]);
        for chart in &mut map.charts {
            chart.name = format!("{}-step-{}", chart.name, look.step);
        }
        view.charts.extend(map.charts);
    }
    let told = all
        .iter()
        .map(|(_, look, followed)| prediction_sentence(run, look.step, followed))
        .collect::<Vec<_>>()
        .join(" ");
    view.caption = format!("{told} {}", view.caption).trim_end().into();
    view
}

fn prediction_sentence(
    run: &Run,
    step: u64,
    TrackedImage { clean, adversarial: attacked, .. }: &TrackedImage,
) -> String {
    let one = |p: &[f32]| {
        let class = top(p);
        format!("{} ({})", class_name(run, class), percent(p.get(class).copied().unwrap_or(f32::NAN)))
    };
    format!("{} the model sees {}, and attacked, {}.", step_phrase(step), one(clean), one(attacked))
}

/// A class's name.
pub fn class_name(run: &Run, class: usize) -> String {
    run.info.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}

/// How the last batch's attacked logits lie beside its clean ones: on one line, and in the plane.
pub fn last_batch(run: &Run) -> Figure {
    let seen = run.last_snapshot.as_ref().and_then(|look| look.batch.as_ref());
    let Some(transport) = seen.and_then(|seen| seen.transport.as_ref()) else { return Figure::default() };
    let mut view = transport::figure(ModelLabel::Now, transport, 0, 0);
    // How the value settles is the explorer's.
    if view.charts.len() == 3 {
        view.charts.remove(1);
    }
    for mark in view.charts.iter_mut().flat_map(|chart| &mut chart.marks) {
        mark.series = mark.series.replace("this image", "the first image");
    }
    view.caption = format!(
        "L_SW of this batch is {}: along a random line the attacked logits lie {} from where the clean ones do (root mean square).",
        short(transport.value),
        short(transport.value.sqrt())
    );
    view
}
