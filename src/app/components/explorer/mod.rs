//! The explorer: one open view of the representations with its caption, charts and controls.

pub mod channel_maps;
pub mod gradient_maps;
pub mod layer_picker;
pub mod projection_slider;

use leptos::prelude::*;

use crate::app::{
    components::{
        common::chart_figure::ChartFigure,
        explorer::{gradient_maps::GradientMaps, layer_picker::LayerPicker, projection_slider::ProjectionSlider},
    },
    domain::{action::UserAction, explorer_view::ExplorerView, format::with_nbsp},
    present::explorer::{chart_count, chart_shape, content},
    runtime::context::AppContext,
};

/// Ids of the charts of a view.
const CHART_IDS: [&str; 4] = ["view-chart-1", "view-chart-2", "view-chart-3", "view-chart-4"];

/// The explorer.
#[component]
pub fn Explorer() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let open = Memo::new(move |_| ctx.state.with(|s| s.permalink.view));
    let tab = move |(view, title): (Option<ExplorerView>, &'static str)| {
        view! {
            <label>
                <input type="radio" name="view" value=view.map_or("none", ExplorerView::key)
                    prop:checked=move || open.get() == view on:change=move |_| ctx.dispatch(UserAction::OpenView(view))/>
                {title}
            </label>
        }
    };
    let tabs = ExplorerView::ALL.map(|view| (Some(view), view.title())).into_iter().chain([(None, "None")]);
    view! {
        <section class="views" id="views" aria-labelledby="views-title">
            <h2 id="views-title" tabindex="-1">"Inside the models"<span>"what the attack does to the representation of this image"</span></h2>
            <fieldset class="tabs"><legend>"View"</legend>{tabs.map(tab).collect_view()}</fieldset>
            {move || open.get().map(|view| view! { <OpenView view/> })}
        </section>
    }
}

#[component]
fn OpenView(view: ExplorerView) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let content = Memo::new(move |_| state.with(content));
    let is_busy = Memo::new(move |_| state.with(|s| s.explorer.is_busy() || s.is_attacking()));
    // The text for screen readers is set once, when all results are there. After that they announce the verdict only.
    let announcement = Memo::new(move |previous: Option<&String>| {
        if let Some(caption) = previous.filter(|caption| !caption.is_empty()) {
            return caption.clone();
        }
        let is_complete = !is_busy.get() && content.with(|c| !c.stale && !c.charts.is_empty());
        if is_complete { content.with(|c| c.caption.clone()) } else { String::new() }
    });
    let charts = CHART_IDS.into_iter().enumerate().take(chart_count(view)).map(|(i, id)| {
        let chart = Memo::new(move |_| content.with(|c| c.charts.get(i).cloned()));
        view! { <ChartFigure chart id class=chart_shape(view, i)/> }
    });
    // The style reserves space for the charts of all models.
    let model_count = Memo::new(move |_| state.with(|s| s.available_models().count()));
    let controls = match view {
        ExplorerView::Layers => view! { <LayerPicker/> }.into_any(),
        ExplorerView::Transport => view! { <ProjectionSlider/> }.into_any(),
        ExplorerView::Jacobian => view! { <GradientMaps/> }.into_any(),
        ExplorerView::Embedding | ExplorerView::Landscape => ().into_any(),
    };
    view! {
        <div class="view" id=format!("view-{}", view.key()) aria-busy=move || is_busy.get().to_string()>
            <p id="view-words">{move || content.with(|c| with_nbsp(&c.caption))}</p>
            <p class="unseen" role="status">{move || announcement.get()}</p>
            <div class="plots" class:stale=move || content.with(|c| c.stale) data-models=move || model_count.get().to_string()>{charts.collect_view()}</div>
            {controls}
        </div>
    }
}
