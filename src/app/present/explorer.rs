//! The content of the open explorer view: captions and charts from the cached answers.

use crate::{
    app::{
        chart::Chart,
        domain::explorer_view::ExplorerView,
        present::{
            figures::{Figure, embedding, jacobian, layer_shift, loss_landscape, margin_vs_radius, transport},
            model_label::ModelLabel,
        },
        state::{State, attack::Attack},
    },
    explore::{
        jacobian::JacobianResponse,
        layers::LayerShift,
        margin_curve::MarginPoint,
        probe::{Probe, ProbeResult},
        transport::TransportPlan,
    },
    prediction::top,
    protocol::Slot,
};

/// What is in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplorerContent {
    pub words: String,
    pub charts: Vec<Chart>,
    /// It is about an attack before the last one.
    pub stale: bool,
}

/// Charts of a view, at most.
pub fn chart_count(view: ExplorerView) -> usize {
    match view {
        ExplorerView::Layers | ExplorerView::Jacobian => 2,
        ExplorerView::Transport | ExplorerView::Landscape => 3,
        // One a model: three of the photos, and the user's.
        ExplorerView::Embedding => 4,
    }
}

/// The room of a view's chart number `i`, as a class of style/chart.css.
pub fn chart_shape(view: ExplorerView, i: usize) -> &'static str {
    match (view, i) {
        (ExplorerView::Embedding, _) | (ExplorerView::Transport, 2) | (ExplorerView::Landscape, 1 | 2) => "square",
        _ => "",
    }
}

/// What the open view shows.
pub fn content(state: &State) -> ExplorerContent {
    let Some(open) = state.permalink.view else { return ExplorerContent::default() };
    let Figure { words, charts } = match open {
        ExplorerView::Layers => {
            layer_shift::figure(&answers::<[LayerShift]>(state, &Probe::Layers, |answer| match answer {
                ProbeResult::Layers(shifts) => Some(shifts),
                _ => None,
            }))
        }
        ExplorerView::Embedding => embeddings(state),
        ExplorerView::Transport => match transport_plan(state) {
            Some((slot, transport)) => transport::figure(slot.into(), transport, projection_index(state, transport), 0),
            None => Figure::default(),
        },
        ExplorerView::Jacobian => {
            let reactions = answers(state, &Probe::Jacobian, |answer| match answer {
                ProbeResult::Jacobian(both) => Some(both),
                _ => None,
            });
            let pairs: Vec<(ModelLabel, [&JacobianResponse; 2])> =
                reactions.into_iter().map(|(whose, both)| (whose, [&both.transport, &both.random])).collect();
            jacobian::figure(&pairs)
        }
        ExplorerView::Landscape => margins_and_landscape(state),
    };
    let mut probes = state.probes();
    probes.retain(|(.., probe)| *probe != Probe::AttackSteps);
    let mut known =
        probes.iter().filter_map(|(slot, attack, probe)| Some((attack, state.cached_answer(*slot, probe)?)));
    let stale = known.any(|(attack, known)| *attack != known.attack) || state.busy();
    let missing = probes.iter().find_map(|(slot, _, probe)| state.cached_answer(*slot, probe)?.answer.as_ref().err());
    let words = match missing {
        Some(why) => format!("{words} Not everything can be shown: {why}.").trim_start().to_owned(),
        None if words.is_empty() => "The attack comes first, then what it does inside the models.".into(),
        None => words,
    };
    ExplorerContent { words, charts, stale }
}

/// The answers to a probe about each model.
fn answers<'a, T: ?Sized>(
    state: &'a State,
    probe: &Probe,
    pick: impl Fn(&'a ProbeResult) -> Option<&'a T>,
) -> Vec<(ModelLabel, &'a T)> {
    let of = |(slot, ..): (Slot, _, _, _)| {
        let answer = state.cached_answer(slot, probe)?.answer.as_ref().ok()?;
        Some((slot.into(), pick(answer)?))
    };
    state.comparable().filter_map(of).collect()
}

/// The plane of each model's latents, with the image's way through it.
fn embeddings(state: &State) -> Figure {
    let one = |(slot, model, clean, attack): (Slot, &crate::protocol::ModelInfo, &[f32], &Attack)| {
        let Ok(ProbeResult::Embedding(way)) = &state.cached_answer(slot, &Probe::Embedding)?.answer else {
            return None;
        };
        let seen = [top(clean), top(&attack.result.as_ref()?.probabilities)];
        let Figure { words, mut charts } =
            embedding::figure(slot.into(), &way.reference, &model.classes, &way.path, seen);
        charts.iter_mut().for_each(|chart| chart.name = format!("{}-{}", chart.name, slot.key()));
        Some(Figure { words, charts })
    };
    let views: Vec<Figure> = state.comparable().filter_map(one).collect();
    let words = views.iter().map(|view| view.words.as_str()).collect::<Vec<_>>().join(" ");
    Figure { words, charts: views.into_iter().flat_map(|view| view.charts).collect() }
}

/// Both models' margins over the radius; around the image, those of the model in focus.
fn margins_and_landscape(state: &State) -> Figure {
    let curves = answers::<[MarginPoint]>(state, &Probe::MarginCurve, |answer| match answer {
        ProbeResult::MarginCurve(curve) => Some(curve),
        _ => None,
    });
    let mut view = margin_vs_radius::figure(&curves, state.attack.config.norm);
    let focus = state.slot().and_then(|slot| Some((slot, state.cached_answer(slot, &Probe::Landscape)?)));
    if let Some((slot, known)) = focus
        && let Ok(ProbeResult::Landscape(around)) = &known.answer
    {
        let map = loss_landscape::figure(slot.into(), &around.values, around.range, around.side);
        view.words = format!("{} {}", view.words, map.words).trim().to_owned();
        view.charts.extend(map.charts);
    }
    view
}

/// The transport under the model in focus.
fn transport_plan(state: &State) -> Option<(Slot, &TransportPlan)> {
    let slot = state.slot()?;
    match &state.cached_answer(slot, &Probe::Transport)?.answer {
        Ok(ProbeResult::Transport(transport)) => Some((slot, transport)),
        _ => None,
    }
}

fn projection_index(state: &State, transport: &TransportPlan) -> usize {
    state.permalink.projection.min(transport.projections.len().saturating_sub(1))
}

/// How many projections there are to choose from.
pub fn projection_count(state: &State) -> usize {
    transport_plan(state).map_or(0, |(_, transport)| transport.projections.len())
}

/// The layers that can be looked into; the chosen one among them, so that it can be left again.
pub fn layer_names(state: &State) -> Vec<String> {
    let shifts = state.slot().and_then(|slot| state.cached_answer(slot, &Probe::Layers));
    let mut names: Vec<String> = match shifts.map(|known| &known.answer) {
        Some(Ok(ProbeResult::Layers(shifts))) => shifts.iter().map(|shift| shift.name.clone()).collect(),
        _ => Vec::new(),
    };
    let chosen = &state.permalink.layer;
    if !chosen.is_empty() && !names.contains(chosen) {
        names.push(chosen.clone());
    }
    names
}
