//! How far the attack moves each layer.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark},
        domain::format::{sentence, share, short},
        present::{figures::Figure, model_label::ModelLabel},
    },
    explore::layers::LayerShift,
};

/// Changes within this factor of each other are called equal.
const EQUAL: f32 = 1.5;

/// The shift of each layer, from the pixels to the logits, in one or several models.
pub fn figure(models: &[(ModelLabel, &[LayerShift])]) -> Figure {
    let changes: Vec<String> = models.iter().filter_map(|(label, shifts)| change(*label, shifts)).collect();
    if changes.is_empty() {
        return Figure::default();
    }
    let change_caption = format!("{}.", sentence(&changes.join("; ")));
    let direction_caption = directions(models);
    let relative = Chart {
        name: "layers-change".into(),
        title: "Relative change of each layer".into(),
        description: change_caption.clone(),
        y: Axis::new("change, relative to the original", "%").including(0.0, 0.0),
        ..chart(models, |shift| shift.relative_l2.map(|change| 100.0 * change))
    };
    let cosine = Chart {
        name: "layers-cosine".into(),
        title: "Change of direction of each layer".into(),
        description: direction_caption.clone(),
        y: Axis::new("cosine of original and adversarial", "").including(0.0, 1.0),
        ..chart(models, |shift| shift.cosine)
    };
    Figure { caption: format!("{change_caption} {direction_caption}"), charts: vec![relative, cosine] }
}

/// How the relative change develops from the pixels to the logits, and where it grows most.
fn change(label: ModelLabel, shifts: &[LayerShift]) -> Option<String> {
    let known: Vec<(&str, f32)> = shifts.iter().filter_map(|shift| Some((&*shift.name, shift.relative_l2?))).collect();
    let (&(_, first), &(_, last)) = (known.first()?, known.last()?);
    let model = label.with_article();
    if first == 0.0 {
        return Some(format!("in {model} nothing changes, because no pixel changes"));
    }
    let (pixels, logits) = (share(first), share(last));
    Some(if last > EQUAL * first {
        let growth = known.windows(2).max_by(|a, b| (a[1].1 / a[0].1).total_cmp(&(b[1].1 / b[0].1)))?;
        let layer = match growth[1].0 {
            "logits" => "the last layer",
            name => name,
        };
        format!("in {model} the change grows from {pixels} of the pixels to {logits} of the logits, most in {layer}")
    } else if last * EQUAL < first {
        format!("in {model} the change shrinks from {pixels} of the pixels to {logits} of the logits")
    } else {
        format!("in {model} the change stays about equal: {pixels} of the pixels, {logits} of the logits")
    })
}

/// How the direction of the logits changes.
fn directions(models: &[(ModelLabel, &[LayerShift])]) -> String {
    let mut sentences = Vec::new();
    for (label, shifts) in models {
        let Some(cosine) = shifts.last().and_then(|shift| shift.cosine) else { continue };
        let change = match cosine {
            cosine if cosine > 0.95 => "keep their direction",
            cosine if cosine > 0.5 => "turn slightly",
            cosine if cosine > -0.5 => "turn far",
            _ => "reverse",
        };
        sentences.push(format!("the logits of {} {change} (cosine {})", label.with_article(), short(cosine)));
    }
    if sentences.is_empty() { String::new() } else { format!("{}.", sentence(&sentences.join("; "))) }
}

/// A line for each model over its layers.
fn chart(models: &[(ModelLabel, &[LayerShift])], value: impl Fn(&LayerShift) -> Option<f32>) -> Chart {
    let names = |shifts: &[LayerShift]| shifts.iter().map(|shift| shift.name.clone()).collect::<Vec<_>>();
    let first_names = models.first().map(|(_, shifts)| names(shifts)).unwrap_or_default();
    // Networks of different depth are aligned at the pixels and the logits.
    let have_equal_layers = models.iter().all(|(_, shifts)| names(shifts) == first_names);
    let mut marks = Vec::new();
    for (label, shifts) in models {
        let scale = if have_equal_layers { 1.0 } else { (shifts.len() as f32 - 1.0).max(1.0) };
        let point = |(i, shift): (usize, &LayerShift)| [i as f32 / scale, value(shift).unwrap_or(f32::NAN)];
        let points: Vec<[f32; 2]> = shifts.iter().enumerate().map(point).collect();
        for form in [Form::Line(points.clone()), Form::Points(points)] {
            marks.push(Mark::new(label.series_name(), label.style(), form));
        }
    }
    let (x, x_labels) = if have_equal_layers {
        let x_labels = first_names.into_iter().enumerate().map(|(i, name)| (i as f32, name)).collect();
        (Axis::default(), x_labels)
    } else {
        (Axis::new("depth, from pixels to logits", ""), Vec::new())
    };
    Chart { x, x_labels, marks, ..Chart::default() }
}
