//! The way of the attack: how the margin fell, step by step, and why the outcome may not be trusted.

use leptos::prelude::*;

use super::{desk::AppContext, plot::Plot, reading::path, views};

#[component]
pub fn Path() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let traces = Memo::new(move |_| state.with(|s| s.attack.traces.clone()));
    let flags = Memo::new(move |_| state.with(|s| s.attack.flags.clone()));
    let words = Memo::new(move |_| state.with(path));
    let chart = Memo::new(move |_| views::path::chart(&traces.get(), &words.get()));
    view! {
        <section class="path" id="path" aria-labelledby="path-title" hidden=move || traces.with(Vec::is_empty)>
            <h2 id="path-title">"The way of the attack"<span>"how far it is from its goal, in logits; below the line it has reached it"</span></h2>
            <Plot chart id="path-chart"/>
            <p class="fine" id="path-words">{move || words.get()}</p>
            {move || flags.get().into_iter().map(flag).collect_view()}
        </section>
    }
}

/// Why an outcome may not be trusted.
pub fn flag(text: String) -> impl IntoView + use<> {
    view! { <p class="flag"><strong>"Do not trust this number as it stands. "</strong>{text}"."</p> }
}
