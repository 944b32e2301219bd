//! How far the attack moves each layer.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark},
        domain::format::{sentence, share, short},
        present::{figures::Figure, model_label::ModelLabel},
    },
    explore::layers::LayerShift,
};

/// Changes within this factor of one another count as about as large.
const ALIKE: f32 = 1.5;

/// The shift of each layer, from pixels to logits, in one or several models.
pub fn figure(models: &[(ModelLabel, &[LayerShift])]) -> Figure {
    let told: Vec<String> = models.iter().filter_map(|(whose, shifts)| tell(*whose, shifts)).collect();
    if told.is_empty() {
        return Figure::default();
    }
    let words = format!("{}.", sentence(&told.join("; ")));
    let relative = Chart {
        name: "layers-change".into(),
        title: "How far each layer moves".into(),
        description: words.clone(),
        y: Axis::new("change, relative to the original", "%").least(0.0, 0.0),
        ..chart(models, |shift| shift.relative_l2.map(|r| 100.0 * r))
    };
    let cosine = Chart {
        name: "layers-cosine".into(),
        title: "How much each layer keeps its direction".into(),
        description: turned(models),
        y: Axis::new("cosine of original and attacked", "").least(0.0, 1.0),
        ..chart(models, |shift| shift.cosine)
    };
    Figure { caption: format!("{words} {}", turned(models)), charts: vec![relative, cosine] }
}

/// One model: from pixels to logits, and where most of it comes in.
fn tell(whose: ModelLabel, shifts: &[LayerShift]) -> Option<String> {
    let known: Vec<(&str, f32)> = shifts.iter().filter_map(|s| Some((&*s.name, s.relative_l2?))).collect();
    let (&(_, first), &(_, last)) = (known.first()?, known.last()?);
    let the = whose.with_article();
    if first == 0.0 {
        return Some(format!("through {the} nothing changes, as no pixel does"));
    }
    let (from, to) = (share(first), share(last));
    if last > ALIKE * first {
        let jump = known.windows(2).max_by(|a, b| (a[1].1 / a[0].1).total_cmp(&(b[1].1 / b[0].1)))?;
        let most = match jump[1].0 {
            "logits" => "the last layer".to_owned(),
            name => name.to_owned(),
        };
        Some(format!(
            "through {the} the change grows from {from} of the pixels to {to} of the logits, most of all in {most}"
        ))
    } else if last * ALIKE < first {
        Some(format!("through {the} the change shrinks from {from} of the pixels to {to} of the logits"))
    } else {
        Some(format!("through {the} the change stays about as large: {from} of the pixels, {to} of the logits"))
    }
}

/// Where the logits point after the attack.
fn turned(models: &[(ModelLabel, &[LayerShift])]) -> String {
    let one = |(whose, shifts): &(ModelLabel, &[LayerShift])| {
        let cosine = shifts.last()?.cosine?;
        let way = match cosine {
            c if c > 0.95 => "still point the same way",
            c if c > 0.5 => "turn somewhat",
            c if c > -0.5 => "turn aside",
            _ => "turn round",
        };
        Some(format!("the logits of {} {way} (cosine {})", whose.with_article(), short(cosine)))
    };
    let all: Vec<String> = models.iter().filter_map(one).collect();
    if all.is_empty() { String::new() } else { format!("{}.", sentence(&all.join("; "))) }
}

/// A line a model over the layers in order.
fn chart(models: &[(ModelLabel, &[LayerShift])], value: impl Fn(&LayerShift) -> Option<f32>) -> Chart {
    let names = |shifts: &[LayerShift]| shifts.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let first = models.first().map(|m| names(m.1)).unwrap_or_default();
    // Networks of different depth have only the beginning and the end in common.
    let alike = models.iter().all(|m| names(m.1) == first);
    let series = |(whose, shifts): &(ModelLabel, &[LayerShift])| {
        let scale = if alike { 1.0 } else { (shifts.len() as f32 - 1.0).max(1.0) };
        let points = shifts.iter().enumerate().map(|(i, s)| [i as f32 / scale, value(s).unwrap_or(f32::NAN)]);
        let points: Vec<[f32; 2]> = points.collect();
        [Form::Line(points.clone()), Form::Points(points)]
            .map(|form| Mark::new(whose.series_name(), whose.tone(), form))
    };
    Chart {
        x: if alike { Axis::default() } else { Axis::new("depth, from pixels to logits", "") },
        places: match alike {
            true => first.into_iter().enumerate().map(|(i, name)| (i as f32, name)).collect(),
            false => Vec::new(),
        },
        marks: models.iter().flat_map(series).collect(),
        ..Chart::default()
    }
}
