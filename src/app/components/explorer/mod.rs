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
    present::explorer::{self, ExplorerContent},
    runtime::context::AppContext,
};

/// Ids of a view's charts.
const CHARTS: [&str; 4] = ["view-chart-1", "view-chart-2", "view-chart-3", "view-chart-4"];

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
    let shown = Memo::new(move |_| state.with(explorer::content));
    let busy = Memo::new(move |_| state.with(|s| s.explorer.busy() || s.busy()));
    let stale = move || shown.with(|s| s.stale);
    // Read aloud once, when all is known: after that it is the verdict that speaks.
    let said = Memo::new(move |before: Option<&String>| {
        let ready = || !busy.get() && shown.with(|s| !s.stale && !s.charts.is_empty());
        let words = before.filter(|words| !words.is_empty()).cloned();
        words.unwrap_or_else(|| if ready() { shown.with(|s| s.words.clone()) } else { String::new() })
    });
    let plots = CHARTS.into_iter().enumerate().take(explorer::chart_count(view)).map(|(i, id)| {
        let chart = Memo::new(move |_| shown.with(|s: &ExplorerContent| s.charts.get(i).cloned()));
        view! { <ChartFigure chart id class=explorer::chart_shape(view, i)/> }
    });
    // How many there are to come decides how much room is kept for them.
    let models = Memo::new(move |_| state.with(|s| s.known_models().count()));
    let more = match view {
        ExplorerView::Layers => view! { <LayerPicker/> }.into_any(),
        ExplorerView::Transport => view! { <ProjectionSlider/> }.into_any(),
        ExplorerView::Jacobian => view! { <GradientMaps/> }.into_any(),
        ExplorerView::Embedding | ExplorerView::Landscape => ().into_any(),
    };
    view! {
        <div class="view" id=format!("view-{}", view.key()) aria-busy=move || busy.get().to_string()>
            <p id="view-words">{move || shown.with(|s| with_nbsp(&s.words))}</p>
            <p class="unseen" role="status">{move || said.get()}</p>
            <div class="plots" class:stale=stale data-models=move || models.get().to_string()>{plots.collect_view()}</div>
            {more}
        </div>
    }
}
