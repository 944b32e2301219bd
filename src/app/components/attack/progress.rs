//! The progress of the attack.

use leptos::prelude::*;

use crate::app::{
    runtime::context::AppContext,
    state::attack::{Attack, AttackPhase},
};

/// The progress of the attack.
#[component]
pub fn AttackProgress() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let key = move || state.with(|s| phase_key(s.attack.phase));
    let fraction = move || state.with(|s| fraction(s.attack.phase));
    let text = move || state.with(|s| text(&s.attack));
    view! {
        <div class="progress" data-phase=key>
            <progress max="1" prop:value=fraction aria-label="Progress of the attack"></progress>
            <p id="progress">{text}</p>
        </div>
    }
}

fn phase_key(phase: AttackPhase) -> &'static str {
    match phase {
        AttackPhase::Idle => "idle",
        AttackPhase::Scheduled => "scheduled",
        AttackPhase::Running { .. } => "running",
        AttackPhase::Done { .. } => "done",
    }
}

fn fraction(phase: AttackPhase) -> f64 {
    match phase {
        AttackPhase::Idle | AttackPhase::Scheduled => 0.0,
        AttackPhase::Running { done, total } => done as f64 / total.max(1) as f64,
        AttackPhase::Done { .. } => 1.0,
    }
}

fn text(attack: &Attack) -> String {
    match attack.phase {
        AttackPhase::Idle => String::new(),
        AttackPhase::Scheduled => "Starting".into(),
        AttackPhase::Running { total: 0, .. } => "Attacking".into(),
        AttackPhase::Running { done, total } => {
            let name = match attack.traces.last() {
                Some(trace) if attack.config.attack.is_suite() => &trace.attack,
                _ => "Attacking",
            };
            format!("{name}: step {done} of {total}")
        }
        AttackPhase::Done { steps, milliseconds, stopped } => {
            let verb = if stopped { "Stopped after" } else { "Attacked in" };
            let unit = if steps == 1 { "step" } else { "steps" };
            format!("{verb} {steps} {unit}, {milliseconds:.0} ms")
        }
    }
}
