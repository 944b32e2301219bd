//! The trace of the attack: the margin after each step, and warnings.

use leptos::prelude::*;

use crate::app::{
    components::common::{chart_figure::ChartFigure, warning::warning},
    present::{attack_trace::attack_summary, figures::attack_trace},
    runtime::context::AppContext,
};

#[component]
pub fn AttackTrace() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let traces = Memo::new(move |_| state.with(|s| s.attack.traces.clone()));
    let flags = Memo::new(move |_| state.with(|s| s.attack.flags.clone()));
    let words = Memo::new(move |_| state.with(attack_summary));
    let chart = Memo::new(move |_| attack_trace::chart(&traces.get(), &words.get()));
    view! {
        <section class="path" id="path" aria-labelledby="path-title" hidden=move || traces.with(Vec::is_empty)>
            <h2 id="path-title">"The way of the attack"<span>"how far it is from its goal, in logits; below the line it has reached it"</span></h2>
            <ChartFigure chart id="path-chart"/>
            <p class="fine" id="path-words">{move || words.get()}</p>
            {move || flags.get().into_iter().map(warning).collect_view()}
        </section>
    }
}
