//! Files made of an attack, and what to say about them. Part of the fold in `state`.

use super::{
    message::Effect,
    reading::{percent, top},
    state::State,
};
use crate::{
    protocol::{AttackImage, Command, ImageExport},
    settings::Settings,
};

/// The file that was made of the attack last, and what the model sees in it.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedImage {
    pub name: String,
    pub probabilities: Vec<f32>,
    pub fools: bool,
}

impl State {
    /// Makes a file of the attack in view, once it is over, if its outcome is what is in view.
    pub(super) fn save(&self, part: AttackImage) -> Vec<Effect> {
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

/// What the file is good for.
pub fn words(state: &State) -> String {
    let (Some(saved), Some(model)) = (&state.saved, &state.model) else {
        return String::new();
    };
    let class = top(&saved.probabilities);
    let Some(name) = model.classes.get(class) else {
        return String::new();
    };
    let sees = format!("{name} ({})", percent(saved.probabilities[class]));
    let fooled = state.attack.result.as_ref().is_some_and(|r| r.succeeded);
    let file = &saved.name;
    match (saved.fools, fooled) {
        (true, _) => {
            format!("{file} is saved. Rounded to whole bytes the image still fools the model, which sees {sees}.")
        }
        (false, true) => {
            format!("{file} is saved. Rounded to whole bytes the image no longer fools the model, which sees {sees}.")
        }
        (false, false) => format!("{file} is saved. Rounded to whole bytes, the model sees {sees}."),
    }
}
