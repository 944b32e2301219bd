//! The user's own images: which there are, and which square of the one in view the model sees. Part of the fold in
//! `state`.

use super::{
    frame::CropState,
    message::{Effect, Source},
    state::State,
};
use crate::{data::crop::Crop, protocol::SourceImage};

/// An image of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct UserImage {
    /// The n-th file that they brought.
    pub file: usize,
    pub name: String,
    /// The square that they chose of it.
    pub crop: Option<Crop>,
}

impl UserImage {
    fn source(&self) -> Option<Source<u64>> {
        Some(Source::Uploaded(self.file))
    }
}

impl State {
    /// A file is shown of which the model sees a square.
    pub(super) fn framed(&mut self, whole: SourceImage) {
        let own = self.uploads.iter().find(|own| own.source() == self.image_wanted);
        let before = own.map_or(self.link.crop, |own| own.crop);
        self.frame = Some(CropState::new(whole, before));
    }

    /// The model sees another image, which is that square of its file.
    pub(super) fn seen(&mut self, crop: Option<Crop>) -> Vec<Effect> {
        self.frame.take_if(|_| crop.is_none());
        let ask = self.frame.as_mut().zip(crop).and_then(|(frame, crop)| frame.seen(crop));
        ask.map(Effect::Send).into_iter().collect()
    }

    /// The user chooses a square.
    pub(super) fn crop(&mut self, crop: Crop) -> Vec<Effect> {
        let in_use = self.image_in_use;
        if let Some(own) = self.uploads.iter_mut().find(|own| own.source() == in_use) {
            own.crop = Some(crop);
        }
        self.frame.as_mut().and_then(|frame| frame.put(crop)).map(Effect::Send).into_iter().collect()
    }

    /// The square has come to rest: a photo's belongs in the address, unless it is the middle.
    pub(super) fn commit_crop(&mut self) {
        if let (Some(Source::Builtin(_)), Some(frame)) = (self.image_in_use, &self.frame)
            && self.image_in_use == self.image_wanted
        {
            self.link.crop = Some(frame.crop).filter(|crop| *crop != Crop::centered(frame.whole.size));
        }
    }

    /// The image that was asked for last cannot be had: it is not offered again.
    pub(super) fn remove_unreadable_upload(&mut self) {
        let wanted = self.image_wanted;
        if wanted != self.image_in_use {
            self.uploads.retain(|own| own.source() != wanted);
        }
    }
}
