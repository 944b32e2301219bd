//! The verdict: one sentence about the attack on the current image.

use crate::{
    app::{
        domain::{format::percent, source::Source},
        state::State,
    },
    attack::Norm,
    prediction::top,
    settings::Settings,
};

/// How the attack went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    Withstands,
    Fooled,
    /// The model was wrong before any attack.
    Mistaken,
}

/// The sentence above the images, and what it amounts to.
pub fn verdict(state: &State) -> (Verdict, String) {
    let (Some(model), Some(image)) = (&state.model, &state.image) else {
        return (Verdict::Waiting, "An image, a classifier, and how little it takes to fool it.".into());
    };
    if state.clean_probabilities.is_empty() || state.clean_probabilities.len() != model.classes.len() {
        return (Verdict::Waiting, "The model looks at the image.".into());
    }
    let (who, class) = (subject(state), |c: usize| model.classes[c].as_str());
    let seen = top(&state.clean_probabilities);
    // Of a class that the model does not know nothing can be said.
    let truth = image.label.as_ref().filter(|&label| label != class(seen) && model.classes.contains(label));
    let though = truth.map(|truth| format!(", though it is {truth}")).unwrap_or_default();
    let before = format!("{} ({}{though})", class(seen), percent(state.clean_probabilities[seen]));
    let Some(result) = state.attack.result.as_ref().filter(|r| r.probabilities.len() == model.classes.len()) else {
        return (Verdict::Waiting, format!("{who} sees {before}."));
    };
    let got = top(&result.probabilities);
    let after = format!("{} ({})", class(got), percent(result.probabilities[got]));
    let change = change(state);
    match (result.succeeded, state.attack.target) {
        // Then an attack that fails proves nothing, and one that succeeds little.
        (reached, None) if truth.is_some() => {
            let then = if reached { format!("{change} makes it") } else { format!("under {change} it stays") };
            (Verdict::Mistaken, format!("{who} is wrong without any attack: it sees {before}; {then} {after}."))
        }
        (true, _) if got != seen => {
            (Verdict::Fooled, format!("{who} is fooled: {before} becomes {after} by {change}."))
        }
        (true, _) => (Verdict::Fooled, format!("{who} already sees {before}, the class to reach.")),
        (false, Some(target)) if target < model.classes.len() && got != seen => (
            Verdict::Withstands,
            format!("{who} is not made to see {}: {before} becomes {after} by {change}.", class(target)),
        ),
        (false, Some(target)) if target < model.classes.len() => (
            Verdict::Withstands,
            format!("{who} is not made to see {}: {before} stays {after} under {change}.", class(target)),
        ),
        _ => (Verdict::Withstands, format!("{who} holds: {before} stays {after} under {change}.")),
    }
}

/// Whose prediction it is.
fn subject(state: &State) -> String {
    match state.model_in_use {
        Some(Source::Builtin(model)) => format!("The {} model", model.title().to_lowercase()),
        Some(Source::Uploaded(_)) => "Your model".into(),
        None => "The model".into(),
    }
}

fn change(state: &State) -> String {
    let config = &state.attack.config;
    let epsilon = config.get("epsilon").unwrap_or_default();
    match config.norm {
        Norm::Linf => format!("a change of at most {epsilon} a pixel"),
        Norm::L2 => format!("a change of length {epsilon} at most"),
        Norm::L1 => format!("changes that sum to {epsilon} at most"),
    }
}
