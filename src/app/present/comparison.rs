//! The comparison table: the prediction of each model for the original image and for the adversarial image of each model.

use crate::{
    app::{domain::format::percent, present::model_label::ModelLabel, state::State},
    prediction::top,
    protocol::Slot,
};

/// What a model sees in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub class: String,
    /// Its probability.
    pub p: f32,
    /// Another class than in the original.
    pub fooled: bool,
}

/// What a model sees in each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub slot: Slot,
    pub original: Cell,
    /// Attacked under each model, in the order of the rows; not yet known where there is none.
    pub attacked: Vec<Option<Cell>>,
}

/// The rows, once there are at least two models that know the same classes.
pub fn rows(state: &State) -> Vec<Row> {
    let models: Vec<_> = state.comparable().filter(|(_, m, clean, _)| clean.len() == m.classes.len()).collect();
    if models.len() < 2 {
        return Vec::new();
    }
    let row = |&(slot, model, clean, _): &(Slot, &crate::protocol::ModelInfo, &[f32], _)| {
        let seen = top(clean);
        let cell = |p: &[f32]| {
            let class = top(p);
            Cell { class: model.classes[class].clone(), p: p[class], fooled: class != seen }
        };
        let attacked = models.iter().map(|(under, _, _, attack)| {
            let own = || attack.result.as_ref().map(|result| &result.probabilities);
            let other = || attack.transfer.iter().find(|(judge, _)| *judge == slot).map(|(_, p)| p);
            let p = if *under == slot { own() } else { other() };
            p.filter(|p| p.len() == clean.len()).map(|p| cell(p))
        });
        Row { slot, original: cell(clean), attacked: attacked.collect() }
    };
    models.iter().map(row).collect()
}

/// What the table says.
pub fn caption(rows: &[Row]) -> String {
    let own = |i: usize| rows[i].attacked[i].as_ref();
    if rows.is_empty() || (0..rows.len()).any(|i| own(i).is_none()) {
        return "The same attack is made on the other models.".into();
    }
    let the = |i: usize| ModelLabel::from(rows[i].slot).with_article();
    let verb = |of: &[usize], one: &str, many: &str| {
        let names: Vec<_> = of.iter().map(|&i| the(i)).collect();
        format!("{} {}", names.join(" and "), if of.len() == 1 { one } else { many })
    };
    let (fell, held): (Vec<_>, Vec<_>) = (0..rows.len()).partition(|&i| own(i).is_some_and(|cell| cell.fooled));
    let first = match (fell.is_empty(), held.is_empty()) {
        (true, _) => "Every model holds under its own attack".to_owned(),
        (_, true) => "Every model falls to its own attack".to_owned(),
        _ => {
            format!("Attacked in turn, {}, {}", verb(&fell, "falls", "fall"), verb(&held, "holds", "hold"))
        }
    };
    let pairs = (0..rows.len()).flat_map(|under| (0..rows.len()).map(move |judge| (under, judge)));
    let others = pairs.filter(|(under, judge)| under != judge);
    let (moved, kept): (Vec<_>, Vec<_>) =
        others.partition(|&(under, judge)| rows[judge].attacked[under].as_ref().is_some_and(|cell| cell.fooled));
    // That what fools no one does not fool the other either goes without saying.
    let kept = kept.into_iter().filter(|(under, _)| fell.contains(under));
    let told = |(under, judge): (usize, usize), verb: &str| {
        let cell = rows[judge].attacked[under].as_ref();
        let seen = cell.map(|c| format!(" ({}, {})", c.class, percent(c.p))).unwrap_or_default();
        format!("the image made against {} {verb} {}{seen}", the(under), the(judge))
    };
    let second: Vec<String> = (moved.into_iter().map(|pair| told(pair, "fools")))
        .chain(kept.map(|pair| told(pair, "does not fool")))
        .collect();
    if second.is_empty() { format!("{first}.") } else { format!("{first}; {}.", second.join("; ")) }
}
