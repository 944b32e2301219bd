//! The verdict: one sentence about the attack on the current image.

use crate::{
    app::{
        domain::{format::percent, source::Source},
        state::State,
    },
    attack::{AttackConfig, Norm},
    prediction::top,
    settings::Settings,
};

/// The outcome of the attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// There is no result yet.
    #[default]
    Pending,
    /// The attack failed.
    Resists,
    /// The attack succeeded.
    Fooled,
    /// The model misclassifies the original image.
    Misclassified,
}

/// The outcome of the attack, and a sentence about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// One sentence.
    pub sentence: String,
}

impl Verdict {
    fn new(outcome: Outcome, sentence: impl Into<String>) -> Self {
        Self { outcome, sentence: sentence.into() }
    }
}

/// The verdict on the attack in focus.
pub fn verdict(state: &State) -> Verdict {
    let (Some(model), Some(image)) = (&state.model, &state.image) else {
        return Verdict::new(Outcome::Pending, "An image, a classifier, and how little it takes to fool it.");
    };
    let classes = &model.classes;
    let clean = &state.clean_probabilities;
    if clean.is_empty() || clean.len() != classes.len() {
        return Verdict::new(Outcome::Pending, "The model is classifying the image.");
    }
    let subject = subject(state);
    let original_class = top(clean);
    // The label is ignored if the model does not have this class.
    let label = image.label.as_ref().filter(|&label| *label != classes[original_class] && classes.contains(label));
    let but = label.map(|label| format!(", but the image shows {label}")).unwrap_or_default();
    let original = format!("{} ({}{but})", classes[original_class], percent(clean[original_class]));
    let Some(result) = state.attack.result.as_ref().filter(|result| result.probabilities.len() == classes.len()) else {
        return Verdict::new(Outcome::Pending, format!("{subject} predicts {original}."));
    };
    let adversarial_class = top(&result.probabilities);
    let adversarial = format!("{} ({})", classes[adversarial_class], percent(result.probabilities[adversarial_class]));
    let perturbation = perturbation(&state.attack.config);
    let target = state.attack.target;

    if label.is_some() && target.is_none() {
        let then = if result.succeeded { "changes this to" } else { "does not change the class:" };
        let sentence = format!(
            "{subject} is wrong without an attack: it predicts {original}; {perturbation} {then} {adversarial}."
        );
        return Verdict::new(Outcome::Misclassified, sentence);
    }
    if result.succeeded {
        let sentence = if adversarial_class == original_class {
            format!("{subject} already predicts {original}, the target class.")
        } else {
            format!("{subject} is fooled: {original} becomes {adversarial} with {perturbation}.")
        };
        return Verdict::new(Outcome::Fooled, sentence);
    }
    let sentence = match target.and_then(|target| classes.get(target)) {
        Some(target) if adversarial_class != original_class => {
            format!("{subject} does not predict {target}: {original} becomes {adversarial} with {perturbation}.")
        }
        Some(target) => {
            format!("{subject} does not predict {target}: {original} stays {adversarial} with {perturbation}.")
        }
        None => format!("{subject} resists: {original} stays {adversarial} with {perturbation}."),
    };
    Verdict::new(Outcome::Resists, sentence)
}

/// The model in focus, as the subject of a sentence.
fn subject(state: &State) -> String {
    match state.model_source {
        Some(Source::Builtin(model)) => format!("The {} model", model.title().to_lowercase()),
        Some(Source::Uploaded(_)) => "Your model".into(),
        None => "The model".into(),
    }
}

/// The allowed perturbation.
fn perturbation(config: &AttackConfig) -> String {
    let epsilon = config.get("epsilon").unwrap_or_default();
    match config.norm {
        Norm::Linf => format!("a perturbation of at most {epsilon} per pixel"),
        Norm::L2 => format!("a perturbation of L2 norm at most {epsilon}"),
        Norm::L1 => format!("a perturbation of L1 norm at most {epsilon}"),
    }
}
