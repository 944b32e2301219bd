//! Chooses the projection of the transport that is drawn.

use leptos::prelude::*;

use crate::app::{domain::action::UserAction, present::explorer::projection_count, runtime::context::AppContext};

/// Chooses the projection.
#[component]
pub fn ProjectionSlider() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let count = Memo::new(move |_| ctx.state.with(projection_count));
    let last = move || count.get().saturating_sub(1);
    let current = Memo::new(move |_| ctx.state.with(|s| s.permalink.projection).min(last()));
    let text = move || format!("{} of {}", current.get() + 1, count.get());
    view! {
        <div class="choice" hidden=move || count.get() == 0>
            <label for="projection">"Projection "</label>
            <input type="range" id="projection" min="0" step="1" max=move || last().to_string()
                prop:value=move || current.get().to_string() aria-valuetext=text
                on:input=move |e| ctx.dispatch(UserAction::SelectProjection(event_target_value(&e).parse().unwrap_or(0)))/>
            <span class="number">{text}</span>
        </div>
    }
}
