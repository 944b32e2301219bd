//! How strongly the logits react to pixels: along the directions of the transport, and along random directions.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark},
        domain::format::{short, times},
        present::{
            figures::{Figure, median},
            model_label::ModelLabel,
        },
    },
    explore::jacobian::JacobianResponse,
};

/// Number of bins of a histogram.
const BINS: usize = 16;

/// Reactions within this factor of each other are called equal.
const EQUAL: f32 = 1.25;

/// The attack is said to follow a gradient if the cosine exceeds this. In 3072 dimensions that is a lot.
const ALIGNED: f32 = 0.3;

/// For each model the responses to the same images: along the transport, and along random directions.
pub type Responses<'a> = [(ModelLabel, [&'a JacobianResponse; 2])];

/// Histograms of the gradient norms of one or several models.
pub fn figure(models: &Responses<'_>) -> Figure {
    let mut captions: Vec<String> =
        models.iter().filter_map(|(label, responses)| caption(*label, *responses)).collect();
    captions.extend(comparison(models));
    if captions.is_empty() {
        return Figure::default();
    }
    let caption = captions.join(" ");
    let norms = models.iter().flat_map(|(_, responses)| responses).flat_map(|response| &response.norms).copied();
    let largest = norms.filter(|norm| norm.is_finite()).fold(0.0, f32::max);
    let chart = |name: &str, title: &str, direction: usize| {
        let mut marks = Vec::new();
        for (label, responses) in models {
            let bars = Form::Bars(histogram(&responses[direction].norms, largest));
            marks.push(Mark::new(label.series_name(), label.style(), bars));
        }
        Chart {
            name: name.into(),
            title: title.into(),
            description: caption.clone(),
            x: Axis::new("gradient norm", "logits per unit of brightness").including(0.0, largest),
            y: Axis::new("images", ""),
            marks,
            ..Chart::default()
        }
    };
    let charts = vec![
        chart("jacobian-transport", "Reaction along the transport", 0),
        chart("jacobian-random", "Reaction along random directions", 1),
    ];
    Figure { caption, charts }
}

/// `[from, to, images]` of equal bins from 0 to `largest`.
fn histogram(norms: &[f32], largest: f32) -> Vec<[f32; 3]> {
    let width = if largest > 0.0 { largest / BINS as f32 } else { 1.0 };
    let mut bars: Vec<[f32; 3]> = (0..BINS).map(|i| [i as f32 * width, (i + 1) as f32 * width, 0.0]).collect();
    for norm in norms.iter().filter(|norm| norm.is_finite()) {
        bars[((norm / width) as usize).min(BINS - 1)][2] += 1.0;
    }
    bars
}

/// The reaction of a model along the transport compared with random directions, and the alignment of the attack.
fn caption(label: ModelLabel, [transport, random]: [&JacobianResponse; 2]) -> Option<String> {
    let (along, across) = (median(transport.norms.iter().copied())?, median(random.norms.iter().copied())?);
    let (reaction, random) = (short(along), short(across));
    let comparison = match (along / across, times(along, across)) {
        (ratio, Some(_)) if (1.0 / EQUAL..EQUAL).contains(&ratio) => {
            format!("about as much as along random directions ({random})")
        }
        (_, Some(times)) => format!("{times} times as much as along random directions ({random})"),
        _ => format!("compared with {random} along random directions"),
    };
    let model = label.with_article();
    let alignment = match median(transport.alignment.iter().copied().flatten()) {
        Some(cosine) if cosine > ALIGNED => format!("; the attack follows this gradient (cosine {})", short(cosine)),
        Some(cosine) if cosine < -ALIGNED => format!("; the attack opposes this gradient (cosine {})", short(cosine)),
        Some(cosine) => format!("; the attack has mostly other directions (cosine {})", short(cosine)),
        None => String::new(),
    };
    Some(format!(
        "Along the transport the logits of {model} change by {reaction} per unit of brightness, {comparison}{alignment}."
    ))
}

/// The reaction of the robust model compared with the standard one.
fn comparison(models: &Responses<'_>) -> Option<String> {
    let reaction = |label| {
        let (_, responses) = models.iter().find(|(other, _)| *other == label)?;
        median(responses[0].norms.iter().copied())
    };
    let (standard, robust) = (reaction(ModelLabel::Standard)?, reaction(ModelLabel::Robust)?);
    let ratio = standard / robust;
    if !ratio.is_finite() || ratio <= 0.0 {
        return None;
    }
    Some(if ratio > EQUAL {
        format!("The robust model reacts {} times less than the standard one.", times(standard, robust)?)
    } else if ratio < 1.0 / EQUAL {
        format!("The robust model reacts {} times more than the standard one.", times(robust, standard)?)
    } else {
        "Both models react about equally.".into()
    })
}
