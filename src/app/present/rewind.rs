//! The label of the displayed step of the attack.

use crate::{app::state::State, explore::probe::AttackStep};

/// Which moment is in view; nothing for the outcome.
pub fn step_label(state: &State) -> String {
    if state.attack.rewound.is_none() {
        return String::new();
    }
    let Some(AttackStep { attack, step, .. }) = state.displayed_step() else {
        let why = state.attack_steps().and_then(Result::err);
        return why.unwrap_or("not known yet").into();
    };
    let traces = &state.attack.traces;
    let steps = traces.iter().find(|trace| trace.attack == *attack).map_or(*step, |trace| trace.steps);
    match (step, traces.len()) {
        (0, _) => "before the attack".into(),
        (_, 1) => format!("at step {step} of {steps}"),
        _ => format!("{attack} {step} of {steps}"),
    }
}
