//! The table of class probabilities of the original and the adversarial image.

use crate::{app::state::State, prediction::top};

/// Maximum number of listed classes.
const MAX_ROWS: usize = 12;

/// The probabilities of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name of the class.
    pub name: String,
    /// The probability for the original image.
    pub clean: f32,
    /// The probability for the displayed adversarial image; `None` before there is one.
    pub adversarial: Option<f32>,
    /// Whether the class is predicted for the original image.
    pub is_clean_prediction: bool,
    /// Whether the class is predicted for the adversarial image.
    pub is_adversarial_prediction: bool,
}

/// The table of class probabilities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassTable {
    /// The listed classes.
    pub rows: Vec<Row>,
    /// Number of classes that are not listed.
    pub omitted: usize,
}

/// The table of class probabilities under the model in focus.
pub fn class_table(state: &State) -> ClassTable {
    let clean = &state.clean_probabilities;
    let Some(model) = state.model.as_ref().filter(|model| model.classes.len() == clean.len()) else {
        return ClassTable::default();
    };
    let displayed = state.displayed_image().map(|image| image.probabilities);
    let adversarial = displayed.filter(|probabilities| probabilities.len() == clean.len());
    let (clean_prediction, adversarial_prediction) = (top(clean), adversarial.map(top));
    let mut rows = Vec::new();
    for class in top_classes(clean, adversarial.unwrap_or_default(), MAX_ROWS) {
        rows.push(Row {
            name: model.classes[class].clone(),
            clean: clean[class],
            adversarial: adversarial.map(|probabilities| probabilities[class]),
            is_clean_prediction: class == clean_prediction,
            is_adversarial_prediction: Some(class) == adversarial_prediction,
        });
    }
    let omitted = clean.len() - rows.len();
    ClassTable { rows, omitted }
}

/// The classes to list: all of them in order if there are at most `max`, else those with the highest probability for either
/// image.
pub fn top_classes(clean: &[f32], adversarial: &[f32], max: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..clean.len()).collect();
    if classes.len() > max {
        let highest = |class: usize| clean[class].max(adversarial.get(class).copied().unwrap_or(0.0));
        classes.sort_by(|&a, &b| highest(b).total_cmp(&highest(a)));
        classes.truncate(max);
    }
    classes
}
