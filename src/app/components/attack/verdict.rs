//! The verdict: one sentence about the attack.

use leptos::prelude::*;

use crate::app::{
    domain::format::with_nbsp,
    present::verdict::{Outcome, verdict},
    runtime::context::AppContext,
    state::attack::AttackPhase,
};

/// The verdict. Screen readers announce it when an attack ends, not after every step.
#[component]
pub fn VerdictLine() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let current = Memo::new(move |_| ctx.state.with(verdict));
    let announcement = Memo::new(move |previous: Option<&String>| {
        let is_done = ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. }));
        if is_done { current.get().sentence } else { previous.cloned().unwrap_or_default() }
    });
    let class = move || match current.with(|verdict| verdict.outcome) {
        Outcome::Pending => "verdict waiting",
        Outcome::Resists => "verdict withstands",
        Outcome::Fooled => "verdict fooled",
        Outcome::Misclassified => "verdict",
    };
    view! {
        <p class=class id="verdict" tabindex="-1">
            <span class="sign" aria-hidden="true"></span>{move || current.with(|verdict| with_nbsp(&verdict.sentence))}
        </p>
        <p class="unseen" role="status" aria-live="polite">{move || announcement.get()}</p>
    }
}
