//! Notices, until the user dismisses them. They overlay the page, so that nothing moves.

use leptos::prelude::*;

use crate::app::{browser::dom, domain::action::UserAction, runtime::context::AppContext};

/// The notices.
#[component]
pub fn Notices() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let notices = Memo::new(move |_| ctx.state.with(|s| s.notices.clone()));
    let dismiss = move |id| {
        ctx.dispatch(UserAction::DismissNotice(id));
        // The focused button is removed.
        request_animation_frame(|| dom::focus_first(&[".notice button", "#verdict"]));
    };
    view! {
        <section class="notices" aria-label="Notices" aria-live="polite">
            <For each=move || notices.get() key=|n| n.id let:notice>
                <div class="notice">
                    <p>{notice.text}</p>
                    <button aria-label="Dismiss" on:click=move |_| dismiss(notice.id)>"×"</button>
                </div>
            </For>
        </section>
    }
}
