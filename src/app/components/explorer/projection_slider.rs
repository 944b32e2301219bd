//! Chooses the projection of the transport that is drawn.

use leptos::prelude::*;

use crate::app::{domain::action::UserAction, present::explorer, runtime::context::AppContext};

/// Which of the projections is drawn.
#[component]
pub fn ProjectionSlider() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let count = Memo::new(move |_| ctx.state.with(explorer::projection_count));
    let now = Memo::new(move |_| ctx.state.with(|s| s.permalink.projection).min(count.get().saturating_sub(1)));
    let words = move || format!("{} of {}", now.get() + 1, count.get());
    view! {
        <div class="choice" hidden=move || count.get() == 0>
            <label for="projection">"Projection "</label>
            <input type="range" id="projection" min="0" step="1" max=move || count.get().saturating_sub(1).to_string()
                prop:value=move || now.get().to_string() aria-valuetext=words
                on:input=move |e| ctx.dispatch(UserAction::Projection(event_target_value(&e).parse().unwrap_or(0)))/>
            <span class="number">{words}</span>
        </div>
    }
}
