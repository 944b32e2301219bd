//! The attack on a batch of images, and the data set that the images are taken from.

use crate::{
    app::{domain::builtin_model::ImageDomain, state::State},
    attack::AttackConfig,
    data::synthetic,
    evaluate::Report,
};

/// An attack on a batch of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchAttack {
    /// The id of the evaluation.
    pub id: u64,
    /// The settings of the attack.
    pub config: AttackConfig,
    /// The name of the data set.
    pub dataset: String,
    /// Whether the worker is computing.
    pub running: bool,
    /// Whether it was stopped early.
    pub stopped: bool,
    /// The result so far.
    pub report: Option<Report>,
}

impl State {
    /// The name of the data set that the worker takes the images of a batch attack from: the uploaded one, or else the
    /// embedded one. `None` if the model has other classes.
    pub fn evaluation_dataset(&self) -> Option<String> {
        const EMBEDDED: &str = "the embedded data set";
        let Some(model) = &self.model else {
            return (self.permalink.model.domain == ImageDomain::Shapes).then(|| EMBEDDED.to_owned());
        };
        let data = &self.training.data;
        if let Some(uploaded) = &data.uploaded
            && model.classes.iter().zip(&data.classes).all(|(class, other)| class == other)
        {
            return Some(uploaded.name.clone());
        }
        let mut classes = model.classes.iter();
        let is_embedded = synthetic::class_names().all(|class| classes.next().is_some_and(|other| other == class));
        is_embedded.then(|| EMBEDDED.to_owned())
    }
}
