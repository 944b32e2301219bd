//! The label of the displayed step of the attack.

use crate::app::state::State;

/// The displayed step; empty if it is the result.
pub fn step_label(state: &State) -> String {
    if state.attack.rewound.is_none() {
        return String::new();
    }
    let Some(displayed) = state.displayed_step() else {
        let error = state.attack_steps().and_then(Result::err);
        return error.unwrap_or("loading").into();
    };
    let traces = &state.attack.traces;
    let trace = traces.iter().find(|trace| trace.attack == displayed.attack);
    let steps = trace.map_or(displayed.step, |trace| trace.steps);
    match (displayed.step, traces.len()) {
        (0, _) => "before the attack".into(),
        (step, 1) => format!("at step {step} of {steps}"),
        (step, _) => format!("{} {step} of {steps}", displayed.attack),
    }
}
