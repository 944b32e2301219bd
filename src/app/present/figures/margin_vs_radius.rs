//! The margin as a function of the attack radius, and the radius at which the attack succeeds.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, Tone},
        domain::format::{in_255ths, sentence, short, times},
        present::{figures::Figure, model_label::ModelLabel},
    },
    attack::Norm,
    explore::margin_curve::{MarginPoint, critical_radius},
};

/// One curve a model, its radii in order; also while only the first of them are known.
pub fn figure(curves: &[(ModelLabel, &[MarginPoint])], norm: Norm) -> Figure {
    let told: Vec<String> = curves.iter().filter_map(|(whose, curve)| tell(*whose, curve, norm)).collect();
    if told.is_empty() {
        return Figure::default();
    }
    let words = format!("{}{}.", sentence(&told.join("; ")), compared(curves));
    let unit = if norm == Norm::Linf { 255.0 } else { 1.0 };
    let mut marks = vec![Mark::new("", Tone::Soft, Form::Level(0.0))];
    for (whose, curve) in curves {
        let points: Vec<[f32; 2]> = curve.iter().map(|r| [unit * r.epsilon, r.margin]).collect();
        let forms = [Form::Line(points.clone()), Form::Points(points)];
        marks.extend(forms.map(|form| Mark::new(whose.series_name(), whose.tone(), form)));
        if let Some(epsilon) = critical_radius(curve) {
            let name = format!("{} falls at {}", whose.series_name(), size(epsilon, norm));
            marks.push(Mark::new(&name, whose.tone(), Form::Upright(unit * epsilon)));
        }
    }
    let chart = Chart {
        name: "margins".into(),
        title: "How the margin shrinks as more is allowed".into(),
        description: words.clone(),
        x: Axis::new("radius ε", if norm == Norm::Linf { "255ths" } else { "pixel values from 0 to 1" })
            .least(0.0, 0.0),
        y: Axis::new("margin; at 0 the image has fallen", "logits"),
        marks,
        ..Chart::default()
    };
    Figure { caption: words, charts: vec![chart] }
}

fn size(epsilon: f32, norm: Norm) -> String {
    if norm == Norm::Linf { in_255ths(epsilon) } else { short(epsilon) }
}

fn tell(whose: ModelLabel, curve: &[MarginPoint], norm: Norm) -> Option<String> {
    let (first, last) = (curve.first()?, curve.last()?);
    let the = whose.with_article();
    Some(match critical_radius(curve) {
        Some(_) if first.margin <= 0.0 && first.epsilon == 0.0 => format!("{the} is wrong without any attack"),
        Some(epsilon) => format!("{the} falls at a radius of {}", size(epsilon, norm)),
        None => format!(
            "{the} still stands at {}, with a margin of {} logits of {}",
            size(last.epsilon, norm),
            short(last.margin),
            short(first.margin)
        ),
    })
}

/// How much more the robust model takes, where both fall.
fn compared(curves: &[(ModelLabel, &[MarginPoint])]) -> String {
    let of = |whose| curves.iter().find(|c| c.0 == whose).and_then(|c| critical_radius(c.1));
    let both = of(ModelLabel::Robust)
        .zip(of(ModelLabel::Standard))
        .and_then(|(r, s)| Some((r > s, times(r.max(s), r.min(s))?)));
    match both {
        Some((true, times)) => format!(": the robust one takes {times} times as much"),
        Some((false, times)) => format!(": on this image the standard one takes {times} times as much"),
        None => String::new(),
    }
}
