//! The panel of the guided tour.

use leptos::prelude::*;

use crate::app::{
    browser::dom,
    domain::tour::{STEPS, Step},
    runtime::context::AppContext,
};

#[component]
pub fn TourPanel() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let at = Memo::new(move |_| state.with(|s| s.permalink.tour));
    let leave = move || state.with(|s| s.hash_without_tour());
    // A link goes when it is followed, and the focus with it: to its like in the next step, or to what is nearest.
    let followed = StoredValue::new("");
    Effect::new(move |before: Option<Option<usize>>| {
        let now = at.get();
        let id = followed.get_value();
        if before.is_some_and(|before| before != now) && !id.is_empty() {
            followed.set_value("");
            let selector = format!("#{id}");
            request_animation_frame(move || dom::focus_first(&[&selector, "#guide-title", "#tour"]));
        }
        now
    });
    let step = move |n: usize| {
        let now @ Step { title, text, .. } = STEPS[n];
        let link = |n: usize, label: &'static str, id: &'static str| view! { <a class="button" id=id href=Step::hash(n) on:click=move |_| followed.set_value(id)>{label}</a> };
        view! {
            <aside class="guide" id="guide" aria-labelledby="guide-title">
                <p class="fine">{format!("Step {} of {}", n + 1, STEPS.len())}</p>
                <h2 id="guide-title" tabindex="-1">{title}</h2>
                <p>{text}</p>
                <p class="actions">
                    {now.has_view().then(|| view! {
                        <button id="guide-show" on:click=move |_| {
                            dom::scroll_to("views");
                            dom::focus_first(&["#views-title"]);
                        }>"Show me"</button>
                    })}
                    {(n > 0).then(|| link(n - 1, "Back", "guide-back"))}
                    {(n + 1 < STEPS.len()).then(|| link(n + 1, "Next", "guide-next"))}
                    <a class="button" id="guide-end" href=leave on:click=move |_| followed.set_value("guide-end")>"End the tour"</a>
                </p>
            </aside>
        }
    };
    view! { <div role="status">{move || at.get().map(step)}</div> }
}
