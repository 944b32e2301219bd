//! The verdict: one sentence about the attack.

use leptos::prelude::*;

use crate::app::{
    domain::format,
    present::verdict::{self, Verdict},
    runtime::context::AppContext,
    state::attack::AttackPhase,
};

/// What came out of it, in one sentence; read aloud when an attack is over, not at every step.
#[component]
pub fn VerdictLine() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let now = Memo::new(move |_| ctx.state.with(verdict::verdict));
    let said = Memo::new(move |before: Option<&String>| {
        let done = ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. }));
        if done { now.get().1 } else { before.cloned().unwrap_or_default() }
    });
    let class = move || match now.get().0 {
        Verdict::Waiting => "verdict waiting",
        Verdict::Withstands => "verdict withstands",
        Verdict::Fooled => "verdict fooled",
        Verdict::Mistaken => "verdict",
    };
    view! {
        <p class=class id="verdict" tabindex="-1"><span class="sign" aria-hidden="true"></span>{move || format::with_nbsp(&now.get().1)}</p>
        <p class="unseen" role="status" aria-live="polite">{move || said.get()}</p>
    }
}
