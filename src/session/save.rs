//! Files of an attack.

use super::{Refusal, Session, failed, softmax};
use crate::{
    attack::{Goal, Query, Threat, rounding},
    config::{AttackConfig, Settings},
    data::{SIDE, VALUES, picture::encode_png, unit},
    prediction::top,
    protocol::{Event, Part, Slot, Subject},
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
    ) -> Result<(), Refusal> {
        let refuse = Refusal::new(Subject::Attack);
        if [original.len(), attacked.len()] != [VALUES; 2] {
            return Err(refuse(&"there is no attacked picture to save"));
        }
        let (model, _) = self.models.get(&slot).ok_or_else(|| refuse(&"load a model first"))?;
        let mut config = AttackConfig::default();
        for (key, value) in settings {
            config.set(key, value).map_err(|e| refuse(&e))?;
        }
        let query = Query::new(model, self.device()?, [3, SIDE, SIDE], BATCH);
        let goal = match target.filter(|class| *class < model.classes) {
            Some(class) => Goal::Reach(class),
            None => {
                let x = unit(original);
                Goal::Avoid(top(query.logits(&x).await.map_err(failed)?.row(0)))
            }
        };
        let threat = Threat { norm: config.norm, epsilon: config.epsilon.0 };
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
