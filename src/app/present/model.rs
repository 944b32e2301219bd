//! A short description of the model in focus.

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, format::grouped, source::Source},
        state::State,
    },
    protocol::Slot,
};

/// What the model is, in a few words.
pub fn about_model(state: &State) -> String {
    let Some(model) = &state.model else {
        return "loading".into();
    };
    let trained = match (state.model_in_use, model.objective.as_deref()) {
        (Some(Source::Builtin(BuiltinModel { slot: Slot::Standard, .. })), _) => "trained without attacks".into(),
        (Some(Source::Builtin(BuiltinModel { slot: Slot::Adversarial, .. })), _) => {
            "trained on adversarial images alone".into()
        }
        (Some(Source::Builtin(_)), _) => "trained with OTJR against attacks".into(),
        (_, Some(objective)) => format!("trained with {objective}"),
        _ => model.name.clone(),
    };
    format!("{}, {} parameters, {trained}", model.architecture, grouped(model.parameters))
}
