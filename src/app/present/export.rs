//! The message after an image was saved.

use crate::{
    app::{domain::format::percent, state::State},
    prediction::top,
};

/// What the file is good for.
pub fn saved_message(state: &State) -> String {
    let (Some(saved), Some(model)) = (&state.saved_image, &state.model) else {
        return String::new();
    };
    let class = top(&saved.probabilities);
    let Some(name) = model.classes.get(class) else {
        return String::new();
    };
    let sees = format!("{name} ({})", percent(saved.probabilities[class]));
    let fooled = state.attack.result.as_ref().is_some_and(|r| r.succeeded);
    let file = &saved.name;
    match (saved.fools, fooled) {
        (true, _) => {
            format!("{file} is saved. Rounded to whole bytes the image still fools the model, which sees {sees}.")
        }
        (false, true) => {
            format!("{file} is saved. Rounded to whole bytes the image no longer fools the model, which sees {sees}.")
        }
        (false, false) => format!("{file} is saved. Rounded to whole bytes, the model sees {sees}."),
    }
}
