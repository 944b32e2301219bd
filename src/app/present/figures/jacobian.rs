//! How strongly the logits react to pixels: along the directions of the transport, and along random directions.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark},
        domain::format::{sentence, short, times},
        present::{
            figures::{Figure, median},
            model_label::ModelLabel,
        },
    },
    explore::jacobian::JacobianResponse,
};

const BINS: usize = 16;

/// Reactions within this factor of one another count as alike.
const ALIKE: f32 = 1.25;

/// A gradient and an attack with more than this cosine have a direction in common: in 3072 dimensions it is much.
const ALIGNED: f32 = 0.3;

/// Of each model its reactions to the same images: along the transport's directions, and along random ones.
pub type Reactions<'a> = [(ModelLabel, [&'a JacobianResponse; 2])];

/// Histograms of the reactions of one or several models.
pub fn figure(models: &Reactions<'_>) -> Figure {
    let told: Vec<String> = models.iter().filter_map(|m| tell(m.0, m.1)).chain(compared(models)).collect();
    if told.is_empty() {
        return Figure::default();
    }
    let words = told.join(" ");
    let largest = models.iter().flat_map(|m| m.1).flat_map(|r| &r.norms).copied();
    let largest = largest.filter(|n| n.is_finite()).fold(0.0, f32::max);
    let chart = |name: &str, title: &str, which: usize| {
        let bars = |(whose, reactions): &(ModelLabel, [&JacobianResponse; 2])| {
            let bars = histogram(&reactions[which].norms, largest);
            Mark::new(whose.series_name(), whose.tone(), Form::Bars(bars))
        };
        Chart {
            name: name.into(),
            title: title.into(),
            description: words.clone(),
            x: Axis::new("gradient", "logits per unit of brightness").least(0.0, largest),
            y: Axis::new("images", ""),
            marks: models.iter().map(bars).collect(),
            ..Chart::default()
        }
    };
    let charts = vec![
        chart("jacobian-transport", "Reaction along the directions of the transport", 0),
        chart("jacobian-random", "Reaction along random directions", 1),
    ];
    Figure { caption: words, charts }
}

/// `[from, to, images]` of equal bins from 0 to `largest`.
fn histogram(norms: &[f32], largest: f32) -> Vec<[f32; 3]> {
    let width = if largest > 0.0 { largest / BINS as f32 } else { 1.0 };
    let mut bars: Vec<[f32; 3]> = (0..BINS).map(|i| [i as f32 * width, (i + 1) as f32 * width, 0.0]).collect();
    for norm in norms.iter().filter(|n| n.is_finite()) {
        bars[((norm / width) as usize).min(BINS - 1)][2] += 1.0;
    }
    bars
}

/// One model: along the transport against along random directions, and whether the attack goes along that gradient.
fn tell(whose: ModelLabel, [transport, random]: [&JacobianResponse; 2]) -> Option<String> {
    let (along, aside) = (median(transport.norms.iter().copied())?, median(random.norms.iter().copied())?);
    let than = match (along / aside, times(along, aside)) {
        (r, Some(_)) if (1.0 / ALIKE..ALIKE).contains(&r) => {
            format!("about as much as along random ones ({})", short(aside))
        }
        (_, Some(times)) => format!("{times} times as much as along random ones ({})", short(aside)),
        _ => format!("against {} along random ones", short(aside)),
    };
    let the = whose.with_article();
    let aligned = match median(transport.alignment.iter().copied().flatten()) {
        Some(a) if a > ALIGNED => format!("; the attack goes along this gradient (cosine {})", short(a)),
        Some(a) if a < -ALIGNED => format!("; the attack goes against this gradient (cosine {})", short(a)),
        Some(a) => format!("; the attack goes mostly elsewhere (cosine {})", short(a)),
        None => String::new(),
    };
    let along = short(along);
    Some(sentence(&format!(
        "along the transport's directions the logits of {the} change by {along} per unit of brightness, {than}{aligned}."
    )))
}

/// The robust model beside the standard one.
fn compared(models: &Reactions<'_>) -> Option<String> {
    let of = |whose| models.iter().find(|m| m.0 == whose).and_then(|m| median(m.1[0].norms.iter().copied()));
    let (standard, robust) = (of(ModelLabel::Standard)?, of(ModelLabel::Robust)?);
    Some(match standard / robust {
        r if !r.is_finite() || r <= 0.0 => return None,
        r if r > ALIKE => {
            format!("The robust model reacts {} times less than the standard one.", times(standard, robust)?)
        }
        r if r < 1.0 / ALIKE => {
            format!("The robust model reacts {} times more than the standard one.", times(robust, standard)?)
        }
        _ => "Both models react about as much.".into(),
    })
}
