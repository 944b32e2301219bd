//! The attack on a batch of images, and the data set that the images are taken from.

use crate::{
    app::{domain::builtin_model::ImageDomain, state::State},
    attack::AttackConfig,
    data::synthetic,
    evaluate::Report,
};

/// The same attack on many images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchAttack {
    pub id: u64,
    pub config: AttackConfig,
    /// What they are taken from.
    pub set: String,
    pub running: bool,
    pub stopped: bool,
    pub report: Option<Report>,
}

/// What many images are taken from, as the worker chooses it: a set that was brought, or else the embedded one, if the
/// model knows its classes.
pub fn evaluation_dataset(state: &State) -> Option<String> {
    let embedded = || "the embedded set".to_owned();
    let Some(model) = &state.model else {
        return (state.permalink.model.domain == ImageDomain::Shapes).then(embedded);
    };
    let data = &state.training.data;
    let alike = model.classes.iter().zip(&data.classes).all(|(a, b)| a == b);
    let mut classes = model.classes.iter();
    match &data.uploaded {
        Some(dataset) if alike => Some(dataset.name.clone()),
        _ => synthetic::class_names().all(|class| classes.next().is_some_and(|own| own == class)).then(embedded),
    }
}
