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
    /// The full image that the next image is a crop of.
    pub(crate) fn on_source_image(&mut self, source: SourceImage) {
        let upload = self.uploads.iter().find(|upload| upload.is_from(self.requested_image));
        let previous = upload.map_or(self.permalink.crop, |upload| upload.crop);
        self.crop = Some(CropState::new(source, previous));
    }

    /// The worker has loaded an image with this crop; `None` if the image is not cropped.
    pub(crate) fn on_crop_loaded(&mut self, crop: Option<Crop>) -> Vec<Effect> {
        let Some(crop) = crop else {
            self.crop = None;
            return Vec::new();
        };
        let command = self.crop.as_mut().and_then(|state| state.on_crop_loaded(crop));
        command.map(Effect::Send).into_iter().collect()
    }

    /// Crops the current image.
    pub(crate) fn set_crop(&mut self, crop: Crop) -> Vec<Effect> {
        if let Some(upload) = self.uploads.iter_mut().find(|upload| upload.is_from(self.image_source)) {
            upload.crop = Some(crop);
        }
        let command = self.crop.as_mut().and_then(|state| state.request(crop));
        command.map(Effect::Send).into_iter().collect()
    }

    /// Writes the crop of a photo to the permalink, unless it is the centered one. Called when the user stops moving it.
    pub(crate) fn commit_crop(&mut self) {
        if let (Some(Source::Builtin(_)), Some(state)) = (self.image_source, &self.crop)
            && self.image_source == self.requested_image
        {
            let is_centered = state.crop == Crop::centered(state.source.size);
            self.permalink.crop = if is_centered { None } else { Some(state.crop) };
        }
    }

    /// Removes the requested image from the uploads, because it could not be decoded.
    pub(crate) fn remove_unreadable_upload(&mut self) {
        if self.requested_image != self.image_source {
            self.uploads.retain(|upload| !upload.is_from(self.requested_image));
        }
    }
}
