//! Exports images of the attack.

use crate::{
    app::{domain::effect::Effect, state::State},
    protocol::{AttackImage, Command, ImageExport},
    settings::Settings,
};

impl State {
    /// Exports an image of the attack, if its result is displayed.
    pub(crate) fn export_image(&self, image: AttackImage) -> Vec<Effect> {
        if self.is_attacking() || self.attack.rewound.is_some() {
            return Vec::new();
        }
        let (Some(slot), Some(original), Some(result)) = (self.slot(), &self.image, &self.attack.result) else {
            return Vec::new();
        };
        vec![Effect::Send(Command::ExportImage(ImageExport {
            slot,
            image,
            original: original.pixels.clone(),
            adversarial: result.pixels.clone(),
            settings: self.attack.config.to_pairs(),
            target: self.attack.target,
        }))]
    }
}
