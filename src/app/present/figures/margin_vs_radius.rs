//! The margin as a function of the attack radius, and the radius at which the attack succeeds.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, SeriesStyle},
        domain::format::{in_255ths, sentence, short, times},
        present::{figures::Figure, model_label::ModelLabel},
    },
    attack::Norm,
    explore::margin_curve::{MarginPoint, critical_radius},
};

/// One curve for each model, with radii in ascending order. It may be incomplete while the worker computes it.
pub fn figure(curves: &[(ModelLabel, &[MarginPoint])], norm: Norm) -> Figure {
    let sentences: Vec<String> = curves.iter().filter_map(|(label, curve)| caption(*label, curve, norm)).collect();
    if sentences.is_empty() {
        return Figure::default();
    }
    let caption = format!("{}{}.", sentence(&sentences.join("; ")), comparison(curves));
    let unit = if norm == Norm::Linf { 255.0 } else { 1.0 };
    let mut marks = vec![Mark::new("", SeriesStyle::Soft, Form::HorizontalLine(0.0))];
    for (label, curve) in curves {
        let points: Vec<[f32; 2]> = curve.iter().map(|point| [unit * point.epsilon, point.margin]).collect();
        for form in [Form::Line(points.clone()), Form::Points(points)] {
            marks.push(Mark::new(label.series_name(), label.style(), form));
        }
        if let Some(radius) = critical_radius(curve) {
            let name = format!("{} fooled at {}", label.series_name(), size(radius, norm));
            marks.push(Mark::new(&name, label.style(), Form::VerticalLine(unit * radius)));
        }
    }
    let chart = Chart {
        name: "margins".into(),
        title: "Margin as a function of the radius".into(),
        description: caption.clone(),
        x: Axis::new("radius ε", if norm == Norm::Linf { "255ths" } else { "pixel values from 0 to 1" })
            .including(0.0, 0.0),
        y: Axis::new("margin; fooled below 0", "logits"),
        marks,
        ..Chart::default()
    };
    Figure { caption, charts: vec![chart] }
}

fn size(radius: f32, norm: Norm) -> String {
    if norm == Norm::Linf { in_255ths(radius) } else { short(radius) }
}

fn caption(label: ModelLabel, curve: &[MarginPoint], norm: Norm) -> Option<String> {
    let (first, last) = (curve.first()?, curve.last()?);
    let model = label.with_article();
    let is_misclassified = first.margin <= 0.0 && first.epsilon == 0.0;
    Some(match critical_radius(curve) {
        Some(_) if is_misclassified => format!("{model} misclassifies the original"),
        Some(radius) => format!("{model} is fooled at a radius of {}", size(radius, norm)),
        None => format!(
            "{model} resists up to {}, where its margin is {} of {} logits",
            size(last.epsilon, norm),
            short(last.margin),
            short(first.margin)
        ),
    })
}

/// The ratio of the radii at which the robust and the standard model are fooled.
fn comparison(curves: &[(ModelLabel, &[MarginPoint])]) -> String {
    let radius = |label| {
        let (_, curve) = curves.iter().find(|(other, _)| *other == label)?;
        critical_radius(curve)
    };
    let (Some(robust), Some(standard)) = (radius(ModelLabel::Robust), radius(ModelLabel::Standard)) else {
        return String::new();
    };
    match times(robust.max(standard), robust.min(standard)) {
        Some(times) if robust > standard => format!(": {times} times larger for the robust one"),
        Some(times) => format!(": on this image {times} times larger for the standard one"),
        None => String::new(),
    }
}
