//! A summary of the attacks that were run, one after another.

use crate::{
    app::{domain::format::in_255ths, state::State},
    attack::Norm,
    protocol::{QueryCounts, Trace},
};

/// What the attacks did, one after the other.
pub fn attack_summary(state: &State) -> String {
    let one = |t: &Trace| {
        let end = if t.succeeded { "succeeds" } else { "fails" };
        let QueryCounts { forward: outputs, backward: gradients } = t.queries;
        let asked = match gradients {
            0 => format!("{outputs} looks"),
            1 => format!("{outputs} looks and 1 gradient"),
            _ => format!("{outputs} looks and {gradients} gradients"),
        };
        let unit = if t.steps == 1 { "step" } else { "steps" };
        format!("{} {end} in {} {unit}, {asked}", t.attack, t.steps)
    };
    let mut text = state.attack.traces.iter().map(one).collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        return text;
    }
    let config = &state.attack.config;
    if let Some(distance) = state.attack.result.as_ref().and_then(|r| r.distance).filter(|d| *d > 0.0) {
        let size = if config.norm == Norm::Linf { in_255ths(distance) } else { format!("{distance:.2}") };
        let beyond = if distance > config.epsilon.0 { ", beyond what is allowed" } else { "" };
        text += &format!("; the smallest change found that does it has size {size}{beyond}");
    }
    text + "."
}
