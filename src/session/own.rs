//! A picture file of the visitor's: decoded once, kept, and shown to the model square by square.

use super::{Refusal, Session};
use crate::{
    data::{
        SIDE,
        crop::Crop,
        picture::{Decoded, Upright},
    },
    protocol::{Event, PictureInfo, Subject, Whole},
};

/// The longer side of what the page gets to see of the file, in pixels.
const PREVIEW: u32 = 640;

impl Session {
    pub(super) async fn load_picture(
        &mut self,
        name: String,
        label: Option<String>,
        bytes: &[u8],
        emit: &dyn Fn(Event),
    ) -> Result<(), Refusal> {
        let upright = Upright::open(bytes, &name).map_err(|e| Refusal::new(Subject::Picture)(&e))?;
        let size = upright.size();
        let crop = Crop::middle(size);
        let Decoded { pixels, original, notes } = upright.seen(crop);
        let may_choose = size[0] != size[1] || size[0] > SIDE as u32;
        if may_choose {
            let (shown, rgb) = upright.preview(PREVIEW);
            emit(Event::Whole { whole: Whole { size, shown, rgb } });
        }
        let crop = may_choose.then_some(crop);
        self.upright = Some(upright);
        self.take(PictureInfo { name, pixels, original, crop, label, notes }, emit).await
    }

    pub(super) async fn crop(&mut self, crop: Crop, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let (Some(upright), Some(picture)) = (&self.upright, &self.picture) else {
            return Err(Refusal(Subject::Picture, "load a picture first".into()));
        };
        let crop = crop.inside(upright.size());
        let Decoded { pixels, original, notes } = upright.seen(crop);
        let (name, label) = (picture.name.clone(), picture.label.clone());
        let info = PictureInfo { name, pixels, original, crop: Some(crop), label, notes };
        self.take(info, emit).await
    }
}
