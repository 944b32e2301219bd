//! The content of the open explorer view: captions and charts from the cached answers.

use crate::{
    app::{
        chart::Chart,
        domain::explorer_view::ExplorerView,
        present::{
            figures::{Figure, embedding, jacobian, layer_shift, loss_landscape, margin_vs_radius, transport},
            model_label::ModelLabel,
        },
        state::{ModelResults, State},
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

/// The content of the open view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplorerContent {
    /// A few sentences.
    pub caption: String,
    /// The charts.
    pub charts: Vec<Chart>,
    /// Whether the content is about an earlier attack.
    pub stale: bool,
}

/// Maximum number of charts of a view.
pub fn chart_count(view: ExplorerView) -> usize {
    match view {
        ExplorerView::Layers | ExplorerView::Jacobian => 2,
        ExplorerView::Transport | ExplorerView::Landscape => 3,
        // One for each model: three of the photos, and the uploaded one.
        ExplorerView::Embedding => 4,
    }
}

/// The CSS class (style/chart.css) for the shape of chart number `i` of a view.
pub fn chart_shape(view: ExplorerView, i: usize) -> &'static str {
    match (view, i) {
        (ExplorerView::Embedding, _) | (ExplorerView::Transport, 2) | (ExplorerView::Landscape, 1 | 2) => "square",
        _ => "",
    }
}

/// The content of the open view.
pub fn content(state: &State) -> ExplorerContent {
    let Some(view) = state.permalink.view else { return ExplorerContent::default() };
    let Figure { caption, charts } = match view {
        ExplorerView::Layers => layers(state),
        ExplorerView::Embedding => embeddings(state),
        ExplorerView::Transport => transport(state),
        ExplorerView::Jacobian => jacobians(state),
        ExplorerView::Landscape => margins_and_landscape(state),
    };
    let mut stale = state.is_attacking();
    let mut error = None;
    for request in state.required_probes() {
        if request.probe == Probe::AttackSteps {
            continue;
        }
        let Some(cached) = state.cached_answer(request.slot, &request.probe) else { continue };
        stale |= cached.attack != request.attack;
        error = error.or(cached.answer.as_ref().err());
    }
    let caption = match error {
        Some(error) => format!("{caption} Some results are missing: {error}.").trim_start().to_owned(),
        None if caption.is_empty() => "The results appear after the attack.".into(),
        None => caption,
    };
    ExplorerContent { caption, charts, stale }
}

/// The results of a probe for all compared models.
fn results<'a, T: ?Sized>(
    state: &'a State,
    probe: &Probe,
    select: impl Fn(&'a ProbeResult) -> Option<&'a T>,
) -> Vec<(ModelLabel, &'a T)> {
    let mut all = Vec::new();
    for ModelResults { slot, .. } in state.comparable_models() {
        if let Some(result) = state.cached_result(slot, probe).and_then(&select) {
            all.push((slot.into(), result));
        }
    }
    all
}

fn layers(state: &State) -> Figure {
    layer_shift::figure(&results::<[LayerShift]>(state, &Probe::Layers, |result| match result {
        ProbeResult::Layers(shifts) => Some(shifts),
        _ => None,
    }))
}

fn jacobians(state: &State) -> Figure {
    let responses = results(state, &Probe::Jacobian, |result| match result {
        ProbeResult::Jacobian(responses) => Some(responses),
        _ => None,
    });
    let pairs: Vec<(ModelLabel, [&JacobianResponse; 2])> =
        responses.into_iter().map(|(label, responses)| (label, [&responses.transport, &responses.random])).collect();
    jacobian::figure(&pairs)
}

/// The embedding of the image under each model.
fn embeddings(state: &State) -> Figure {
    let (mut captions, mut charts) = (Vec::new(), Vec::new());
    for ModelResults { slot, model, clean_probabilities, attack } in state.comparable_models() {
        let Some(ProbeResult::Embedding(path)) = state.cached_result(slot, &Probe::Embedding) else { continue };
        let Some(result) = &attack.result else { continue };
        let predictions = [top(clean_probabilities), top(&result.probabilities)];
        let figure = embedding::figure(slot.into(), &path.reference, &model.classes, &path.path, predictions);
        captions.push(figure.caption);
        for mut chart in figure.charts {
            chart.name = format!("{}-{}", chart.name, slot.key());
            charts.push(chart);
        }
    }
    Figure { caption: captions.join(" "), charts }
}

/// The margins of all models as a function of the radius, and the landscape of the model in focus.
fn margins_and_landscape(state: &State) -> Figure {
    let curves = results::<[MarginPoint]>(state, &Probe::MarginCurve, |result| match result {
        ProbeResult::MarginCurve(curve) => Some(curve),
        _ => None,
    });
    let mut figure = margin_vs_radius::figure(&curves, state.attack.config.norm);
    if let Some(slot) = state.slot()
        && let Some(ProbeResult::Landscape(landscape)) = state.cached_result(slot, &Probe::Landscape)
    {
        let map = loss_landscape::figure(slot.into(), &landscape.values, landscape.range, landscape.side);
        figure.caption = format!("{} {}", figure.caption, map.caption).trim().to_owned();
        figure.charts.extend(map.charts);
    }
    figure
}

fn transport(state: &State) -> Figure {
    let Some((slot, plan)) = transport_plan(state) else { return Figure::default() };
    let projection = state.permalink.projection.min(plan.projections.len().saturating_sub(1));
    transport::figure(slot.into(), plan, projection, 0)
}

/// The transport plan of the model in focus.
fn transport_plan(state: &State) -> Option<(Slot, &TransportPlan)> {
    let slot = state.slot()?;
    match state.cached_result(slot, &Probe::Transport)? {
        ProbeResult::Transport(plan) => Some((slot, plan)),
        _ => None,
    }
}

/// Number of projections to choose from.
pub fn projection_count(state: &State) -> usize {
    transport_plan(state).map_or(0, |(_, plan)| plan.projections.len())
}

/// The layers to choose from, always including the selected one, so that it can be deselected.
pub fn layer_names(state: &State) -> Vec<String> {
    let result = state.slot().and_then(|slot| state.cached_result(slot, &Probe::Layers));
    let mut names: Vec<String> = match result {
        Some(ProbeResult::Layers(shifts)) => shifts.iter().map(|shift| shift.name.clone()).collect(),
        _ => Vec::new(),
    };
    let selected = &state.permalink.layer;
    if !selected.is_empty() && !names.contains(selected) {
        names.push(selected.clone());
    }
    names
}
