//! Exports the result of an attack as a PNG file.

use super::{CommandError, Session, attack_failed, softmax};
use crate::{
    attack::{AttackConfig, Goal, ThreatModel, rounding},
    data::{IMAGE_LEN, image::encode_png, to_unit_range},
    prediction::top,
    protocol::{AttackImage, ErrorScope, Event, ImageExport},
    settings::Settings,
};

/// Roundings of the adversarial image that are evaluated at once.
const BATCH: usize = 16;

fn export_error(problem: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorScope::Attack, problem)
}

impl Session {
    pub(super) async fn export_image(&self, request: &ImageExport) -> Result<(), CommandError> {
        let ImageExport { slot, image, original, adversarial, settings, target } = request;
        if original.len() != IMAGE_LEN || adversarial.len() != IMAGE_LEN {
            return Err(export_error("there is no adversarial image to save"));
        }
        let model = &self.models.get(slot).ok_or_else(|| export_error("load a model first"))?.model;
        let config = AttackConfig::from_pairs(settings).map_err(export_error)?;
        let oracle = self.oracle(model, BATCH)?;
        let goal = match target.filter(|class| *class < model.classes) {
            Some(class) => Goal::Targeted(class),
            None => Goal::Untargeted(top(oracle.logits(&to_unit_range(original)).await.map_err(attack_failed)?.row(0))),
        };
        let threat = ThreatModel { norm: config.norm, epsilon: config.epsilon.0 };
        let rounded =
            rounding::round(&oracle, goal, original, adversarial, &threat, config.seed).await.map_err(attack_failed)?;
        let (name, png) = match image {
            AttackImage::Adversarial => ("attacked.png".into(), encode_png(&rounded.pixels)),
            AttackImage::Perturbation => {
                let change = rounding::change(original, &rounded.pixels);
                (change.name(), encode_png(&change.pixels))
            }
        };
        let (probabilities, fools) = (softmax(&rounded.logits), rounded.fools());
        self.emit(Event::ImageExported { name, png, probabilities, fools });
        Ok(())
    }
}
