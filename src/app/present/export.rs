//! The message after an image was exported.

use crate::{
    app::{domain::format::percent, state::State},
    prediction::top,
};

/// Whether the exported image, whose pixels are rounded to bytes, still fools the model; empty before an export.
pub fn saved_message(state: &State) -> String {
    let (Some(saved), Some(model)) = (&state.saved_image, &state.model) else {
        return String::new();
    };
    let class = top(&saved.probabilities);
    let Some(name) = model.classes.get(class) else {
        return String::new();
    };
    let prediction = format!("{name} ({})", percent(saved.probabilities[class]));
    let was_fooled = state.attack.result.as_ref().is_some_and(|result| result.succeeded);
    let fools = match (saved.fools, was_fooled) {
        (true, _) => "still fools the model, which predicts",
        (false, true) => "no longer fools the model, which predicts",
        (false, false) => "does not fool the model, which predicts",
    };
    format!("{} is saved. With pixels rounded to bytes the image {fools} {prediction}.", saved.name)
}
