//! The progress of the attack.

use leptos::prelude::*;

use crate::app::{runtime::context::AppContext, state::attack::AttackPhase};

/// How far the attack is.
#[component]
pub fn AttackProgress() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let text = move || {
        state.with(|s| match s.attack.phase {
            AttackPhase::Idle => String::new(),
            AttackPhase::Scheduled => "Attack begins".into(),
            AttackPhase::Running { total: 0, .. } => "Attacking".into(),
            AttackPhase::Running { done, total } => match &s.attack.traces[..] {
                [.., trace] if s.attack.config.attack.is_suite() => format!("{}: step {done} of {total}", trace.attack),
                _ => format!("Attacking: step {done} of {total}"),
            },
            AttackPhase::Done { steps, milliseconds, stopped } => {
                let end = if stopped { "Stopped after" } else { "Attacked in" };
                let unit = if steps == 1 { "step" } else { "steps" };
                format!("{end} {steps} {unit}, {milliseconds:.0} ms")
            }
        })
    };
    let part = move || {
        state.with(|s| match s.attack.phase {
            AttackPhase::Idle | AttackPhase::Scheduled => 0.0,
            AttackPhase::Running { done, total } => done as f64 / total.max(1) as f64,
            AttackPhase::Done { .. } => 1.0,
        })
    };
    view! {
        <div class="progress" data-phase=move || state.with(|s| format!("{:?}", s.attack.phase).split(' ').next().unwrap_or_default().to_lowercase())>
            <progress max="1" prop:value=part aria-label="Progress of the attack"></progress>
            <p id="progress">{text}</p>
        </div>
    }
}
