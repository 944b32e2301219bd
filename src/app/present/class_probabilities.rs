//! The table of class probabilities of the original and the adversarial image.

use crate::{app::state::State, prediction::top};

/// More classes than these are not all listed.
const AT_MOST: usize = 12;

#[derive(Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub clean: f32,
    pub attacked: Option<f32>,
    pub clean_top: bool,
    pub attacked_top: bool,
}

pub fn rows(state: &State) -> (Vec<Row>, usize) {
    let Some(model) = &state.model else {
        return Default::default();
    };
    if state.clean_probabilities.len() != model.classes.len() {
        return Default::default();
    }
    let after =
        state.displayed_image().map(|shown| shown.probabilities).filter(|p| p.len() == state.clean_probabilities.len());
    let (best, best_after) = (top(&state.clean_probabilities), after.map(top));
    let classes = top_classes(&state.clean_probabilities, after.unwrap_or_default(), AT_MOST);
    let left_out = state.clean_probabilities.len() - classes.len();
    let row = |class: usize| Row {
        name: model.classes[class].clone(),
        clean: state.clean_probabilities[class],
        attacked: after.map(|p| p[class]),
        clean_top: class == best,
        attacked_top: Some(class) == best_after,
    };
    (classes.into_iter().map(row).collect(), left_out)
}

/// The classes to list: all in order while they are few, else those that matter most for either image.
pub fn top_classes(clean: &[f32], attacked: &[f32], at_most: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..clean.len()).collect();
    if classes.len() > at_most {
        let weight = |c: usize| clean[c].max(attacked.get(c).copied().unwrap_or(0.0));
        classes.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)));
        classes.truncate(at_most);
    }
    classes
}
