//! Exports images of the attack.

use crate::{
    app::{domain::effect::Effect, state::State},
    protocol::{AttackImage, Command, ImageExport},
    settings::Settings,
};

impl State {
    /// Makes a file of the attack in view, once it is over, if its outcome is what is in view.
    pub(crate) fn export_image(&self, part: AttackImage) -> Vec<Effect> {
        let rewound = self.attack.rewound.is_some();
        let (Some(image), Some(result), false) = (&self.image, &self.attack.result, self.busy() || rewound) else {
            return Vec::new();
        };
        let Some(slot) = self.slot() else { return Vec::new() };
        vec![Effect::Send(Command::ExportImage(ImageExport {
            slot,
            image: part,
            original: image.pixels.clone(),
            adversarial: result.pixels.clone(),
            settings: self.attack.config.to_pairs(),
            target: self.attack.target,
        }))]
    }
}
