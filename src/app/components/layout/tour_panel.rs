//! The panel of the guided tour.

use leptos::prelude::*;

use crate::app::{
    browser::dom,
    domain::tour::{STEPS, Step},
    runtime::context::AppContext,
};

/// The current step of the tour, with links to the other steps.
#[component]
pub fn TourPanel() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let current = Memo::new(move |_| state.with(|s| s.permalink.tour));
    // A link is replaced when the user follows it. The focus moves to the same link of the next step, or to the heading.
    let followed = StoredValue::new("");
    Effect::new(move |previous: Option<Option<usize>>| {
        let step = current.get();
        let id = followed.get_value();
        if previous.is_some_and(|previous| previous != step) && !id.is_empty() {
            followed.set_value("");
            let selector = format!("#{id}");
            request_animation_frame(move || dom::focus_first(&[&selector, "#guide-title", "#tour"]));
        }
        step
    });
    view! { <div role="status">{move || current.get().map(|n| panel(n, followed))}</div> }
}

/// The panel of step `n`. The id of a followed link is written to `followed`.
fn panel(n: usize, followed: StoredValue<&'static str>) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let step @ Step { title, text, .. } = STEPS[n];
    let link = move |n: usize, label: &'static str, id: &'static str| {
        view! { <a class="button" id=id href=Step::hash(n) on:click=move |_| followed.set_value(id)>{label}</a> }
    };
    let show_view = |_| {
        dom::scroll_to("views");
        dom::focus_first(&["#views-title"]);
    };
    let end = move || state.with(|s| s.hash_without_tour());
    view! {
        <aside class="guide" id="guide" aria-labelledby="guide-title">
            <p class="fine">{format!("Step {} of {}", n + 1, STEPS.len())}</p>
            <h2 id="guide-title" tabindex="-1">{title}</h2>
            <p>{text}</p>
            <p class="actions">
                {step.has_view().then(|| view! { <button id="guide-show" on:click=show_view>"Show me"</button> })}
                {(n > 0).then(|| link(n - 1, "Back", "guide-back"))}
                {(n + 1 < STEPS.len()).then(|| link(n + 1, "Next", "guide-next"))}
                <a class="button" id="guide-end" href=end on:click=move |_| followed.set_value("guide-end")>"End the tour"</a>
            </p>
        </aside>
    }
}
