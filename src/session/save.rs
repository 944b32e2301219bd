//! Files of an attack.

use super::{CommandError, Session, failed, softmax};
use crate::{
    attack::{AttackConfig, Goal, ModelOracle, ThreatModel, rounding},
    data::{IMAGE_LEN, IMAGE_SIZE, image::encode_png, to_unit_range},
    prediction::top,
    protocol::{ErrorScope, Event, Part, Slot},
    settings::Settings,
};

/// Ways of rounding that are tried at once.
const BATCH: usize = 16;

impl Session {
    pub(super) async fn save(
        &self,
        slot: Slot,
        part: Part,
        (original, attacked): (&[u8], &[f32]),
        (settings, target): (&[(String, String)], Option<usize>),
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let refuse = CommandError::new(ErrorScope::Attack);
        if [original.len(), attacked.len()] != [IMAGE_LEN; 2] {
            return Err(refuse(&"there is no adversarial image to save"));
        }
        let (model, _) = self.models.get(&slot).ok_or_else(|| refuse(&"load a model first"))?;
        let config = AttackConfig::from_pairs(settings).map_err(|e| refuse(&e))?;
        let query = ModelOracle::new(model, self.device()?, [3, IMAGE_SIZE, IMAGE_SIZE], BATCH);
        let goal = match target.filter(|class| *class < model.classes) {
            Some(class) => Goal::Targeted(class),
            None => {
                let x = to_unit_range(original);
                Goal::Untargeted(top(query.logits(&x).await.map_err(failed)?.row(0)))
            }
        };
        let threat = ThreatModel { norm: config.norm, epsilon: config.epsilon.0 };
        let rounded = rounding::round(&query, goal, original, attacked, &threat, config.seed).await.map_err(failed)?;
        let (name, png) = match part {
            Part::Attacked => ("attacked.png".into(), encode_png(&rounded.pixels)),
            Part::Change => {
                let change = rounding::change(original, &rounded.pixels);
                (change.name(), encode_png(&change.pixels))
            }
        };
        let probabilities = softmax(&rounded.logits);
        emit(Event::Saved { name, png, probabilities, fools: rounded.fools() });
        Ok(())
    }
}
