//! A summary of the attacks that were run, one after another.

use crate::{
    app::{domain::format::in_255ths, state::State},
    attack::Norm,
    protocol::{QueryCounts, Trace},
};

/// The outcome and cost of each attack, and the smallest successful perturbation.
pub fn attack_summary(state: &State) -> String {
    let attacks: Vec<String> = state.attack.traces.iter().map(trace_summary).collect();
    if attacks.is_empty() {
        return String::new();
    }
    let mut text = attacks.join("; ");
    let distance = state.attack.result.as_ref().and_then(|result| result.distance);
    if let Some(distance) = distance.filter(|distance| *distance > 0.0) {
        let config = &state.attack.config;
        let size = if config.norm == Norm::Linf { in_255ths(distance) } else { format!("{distance:.2}") };
        let is_too_large = distance > config.epsilon.0;
        let limit = if is_too_large { ", which is more than allowed" } else { "" };
        text += &format!("; the smallest successful perturbation has size {size}{limit}");
    }
    text + "."
}

fn trace_summary(trace: &Trace) -> String {
    let outcome = if trace.succeeded { "succeeds" } else { "fails" };
    let steps = if trace.steps == 1 { "step" } else { "steps" };
    let QueryCounts { forward, backward } = trace.queries;
    let forward_passes = if forward == 1 { "forward pass" } else { "forward passes" };
    let gradients = match backward {
        0 => String::new(),
        1 => ", 1 gradient".into(),
        _ => format!(", {backward} gradients"),
    };
    format!("{} {outcome} in {} {steps}, {forward} {forward_passes}{gradients}", trace.attack, trace.steps)
}
