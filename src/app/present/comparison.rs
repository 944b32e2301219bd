//! The comparison table: the prediction of each model for the original image and for the adversarial image of each model.

use crate::{
    app::{
        domain::format::percent,
        present::model_label::ModelLabel,
        state::{ModelResults, State},
    },
    prediction::top,
    protocol::Slot,
};

/// The prediction of a model for an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The predicted class.
    pub class: String,
    /// The probability of the class.
    pub probability: f32,
    /// Whether the prediction differs from that for the original image.
    pub fooled: bool,
}

/// The predictions of a model for all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The slot of the model.
    pub slot: Slot,
    /// The prediction for the original image.
    pub original: Cell,
    /// The predictions for the adversarial images of all models, in the order of the rows. `None` until they are known.
    pub adversarial: Vec<Option<Cell>>,
}

/// The rows of the table; empty unless there are at least two models with the same classes.
pub fn rows(state: &State) -> Vec<Row> {
    let mut models = state.comparable_models();
    models.retain(|results| results.clean_probabilities.len() == results.model.classes.len());
    if models.len() < 2 {
        return Vec::new();
    }
    models.iter().map(|results| row(results, &models)).collect()
}

fn row(results: &ModelResults<'_>, models: &[ModelResults<'_>]) -> Row {
    let slot = results.slot;
    let original_class = top(results.clean_probabilities);
    let cell = |probabilities: &[f32]| {
        let class = top(probabilities);
        let name = results.model.classes[class].clone();
        Cell { class: name, probability: probabilities[class], fooled: class != original_class }
    };
    let mut adversarial = Vec::new();
    for attacked in models {
        let probabilities = if attacked.slot == slot {
            attacked.attack.result.as_ref().map(|result| &result.probabilities)
        } else {
            attacked.attack.transfer.iter().find(|(other, _)| *other == slot).map(|(_, probabilities)| probabilities)
        };
        let probabilities = probabilities.filter(|values| values.len() == results.clean_probabilities.len());
        adversarial.push(probabilities.map(|values| cell(values)));
    }
    Row { slot, original: cell(results.clean_probabilities), adversarial }
}

/// The caption of the table: which models their own attacks fool, and which attacks transfer to other models.
pub fn caption(rows: &[Row]) -> String {
    let is_complete = rows.iter().enumerate().all(|(i, row)| row.adversarial[i].is_some());
    if rows.is_empty() || !is_complete {
        return "The other models are being attacked in the same way.".into();
    }
    let is_fooled = |row: usize| rows[row].adversarial[row].as_ref().is_some_and(|cell| cell.fooled);
    let (fooled, robust): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|&row| is_fooled(row));
    let mut sentences = vec![if fooled.is_empty() {
        "Every model resists the attack on it".to_owned()
    } else if robust.is_empty() {
        "Every model is fooled by the attack on it".to_owned()
    } else {
        let (is_or_are, resist) =
            (if fooled.len() == 1 { "is" } else { "are" }, if robust.len() == 1 { "s" } else { "" });
        let (fooled, robust) = (names(rows, &fooled), names(rows, &robust));
        format!("Attacked separately, {fooled} {is_or_are} fooled, {robust} resist{resist}")
    }];
    let mut failed = Vec::new();
    for attacked in 0..rows.len() {
        for evaluated in (0..rows.len()).filter(|&evaluated| evaluated != attacked) {
            let cell = rows[evaluated].adversarial[attacked].as_ref();
            if cell.is_some_and(|cell| cell.fooled) {
                sentences.push(transfer(rows, attacked, evaluated, "fools"));
            } else if fooled.contains(&attacked) {
                failed.push(transfer(rows, attacked, evaluated, "does not fool"));
            }
        }
    }
    sentences.extend(failed);
    format!("{}.", sentences.join("; "))
}

fn name(rows: &[Row], row: usize) -> &'static str {
    ModelLabel::from(rows[row].slot).with_article()
}

fn names(rows: &[Row], selected: &[usize]) -> String {
    let names: Vec<&str> = selected.iter().map(|&row| name(rows, row)).collect();
    names.join(" and ")
}

/// Whether the adversarial image of the model `attacked` fools the model `evaluated`.
fn transfer(rows: &[Row], attacked: usize, evaluated: usize, verb: &str) -> String {
    let prediction = match &rows[evaluated].adversarial[attacked] {
        Some(cell) => format!(" ({}, {})", cell.class, percent(cell.probability)),
        None => String::new(),
    };
    format!("the adversarial image of {} {verb} {}{prediction}", name(rows, attacked), name(rows, evaluated))
}
