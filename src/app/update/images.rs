//! Handles uploaded images and the crop of the current image.

use crate::{
    app::{
        domain::{effect::Effect, source::Source},
        state::{State, crop::CropState},
    },
    data::crop::Crop,
    protocol::SourceImage,
};

impl State {
    /// A file is shown of which the model sees a square.
    pub(crate) fn on_source_image(&mut self, whole: SourceImage) {
        let own = self.uploads.iter().find(|own| own.source() == self.image_wanted);
        let before = own.map_or(self.permalink.crop, |own| own.crop);
        self.crop = Some(CropState::new(whole, before));
    }

    /// The model sees another image, which is that square of its file.
    pub(crate) fn on_crop_loaded(&mut self, crop: Option<Crop>) -> Vec<Effect> {
        self.crop.take_if(|_| crop.is_none());
        let ask = self.crop.as_mut().zip(crop).and_then(|(crop_state, crop)| crop_state.on_crop_loaded(crop));
        ask.map(Effect::Send).into_iter().collect()
    }

    /// The user chooses a square.
    pub(crate) fn set_crop(&mut self, crop: Crop) -> Vec<Effect> {
        let in_use = self.image_in_use;
        if let Some(own) = self.uploads.iter_mut().find(|own| own.source() == in_use) {
            own.crop = Some(crop);
        }
        self.crop.as_mut().and_then(|crop_state| crop_state.request(crop)).map(Effect::Send).into_iter().collect()
    }

    /// The square has come to rest: a photo's belongs in the address, unless it is the middle.
    pub(crate) fn commit_crop(&mut self) {
        if let (Some(Source::Builtin(_)), Some(frame)) = (self.image_in_use, &self.crop)
            && self.image_in_use == self.image_wanted
        {
            self.permalink.crop = Some(frame.crop).filter(|crop| *crop != Crop::centered(frame.source.size));
        }
    }

    /// The image that was asked for last cannot be had: it is not offered again.
    pub(crate) fn remove_unreadable_upload(&mut self) {
        let wanted = self.image_wanted;
        if wanted != self.image_in_use {
            self.uploads.retain(|own| own.source() != wanted);
        }
    }
}
