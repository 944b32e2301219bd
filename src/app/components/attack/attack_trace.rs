//! The trace of the attack: the margin after each step, and warnings.

use leptos::prelude::*;

use crate::app::{
    components::common::{chart_figure::ChartFigure, warning::warning},
    present::{attack_trace::attack_summary, figures},
    runtime::context::AppContext,
};

/// The trace of the attack.
#[component]
pub fn AttackTrace() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let traces = Memo::new(move |_| state.with(|s| s.attack.traces.clone()));
    let flags = Memo::new(move |_| state.with(|s| s.attack.flags.clone()));
    let summary = Memo::new(move |_| state.with(attack_summary));
    let chart = Memo::new(move |_| figures::attack_trace::chart(&traces.get(), &summary.get()));
    view! {
        <section class="path" id="path" aria-labelledby="path-title" hidden=move || traces.with(Vec::is_empty)>
            <h2 id="path-title">"Progress of the attack"<span>"margin in logits; the attack succeeds below 0"</span></h2>
            <ChartFigure chart id="path-chart"/>
            <p class="fine" id="path-words">{move || summary.get()}</p>
            {move || flags.get().into_iter().map(warning).collect_view()}
        </section>
    }
}
