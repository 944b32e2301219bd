//! A short description of the model in focus.

use crate::{
    app::{
        domain::{format::grouped, source::Source},
        state::State,
    },
    protocol::Slot,
};

/// Architecture, size and training of the model in focus.
pub fn about_model(state: &State) -> String {
    let Some(model) = &state.model else {
        return "loading".into();
    };
    let training = match (state.model_source, &model.objective) {
        (Some(Source::Builtin(builtin)), _) => match builtin.slot {
            Slot::Standard => "trained without attacks".into(),
            Slot::Adversarial => "trained on adversarial images only".into(),
            _ => "trained with OTJR against attacks".into(),
        },
        (_, Some(objective)) => format!("trained with {objective}"),
        _ => model.name.clone(),
    };
    format!("{}, {} parameters, {training}", model.architecture, grouped(model.parameters))
}
