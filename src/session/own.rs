//! An image file of the user's: decoded once, kept, and shown to the model square by square.

use super::{CommandError, Session};
use crate::{
    data::{
        IMAGE_SIZE,
        crop::Crop,
        image::{CroppedImage, DecodedImage},
    },
    protocol::{ErrorScope, Event, ImageInfo, SourceImage},
};

/// The longer side of what the page gets to see of the file, in pixels.
const PREVIEW: u32 = 640;

impl Session {
    pub(super) async fn load_image(
        &mut self,
        name: String,
        label: Option<String>,
        bytes: &[u8],
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let decoded_image = DecodedImage::decode(bytes, &name).map_err(|e| CommandError::new(ErrorScope::Image)(&e))?;
        let size = decoded_image.size();
        let crop = Crop::centered(size);
        let CroppedImage { pixels, original_size, notes } = decoded_image.crop(crop);
        let may_choose = size[0] != size[1] || size[0] > IMAGE_SIZE as u32;
        if may_choose {
            let (shown, rgb) = decoded_image.preview(PREVIEW);
            emit(Event::SourceImage { whole: SourceImage { size, shown, rgb } });
        }
        let crop = may_choose.then_some(crop);
        self.decoded_image = Some(decoded_image);
        self.take(ImageInfo { name, pixels, original: original_size, crop, label, notes }, emit).await
    }

    pub(super) async fn crop(&mut self, crop: Crop, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        let (Some(decoded_image), Some(image)) = (&self.decoded_image, &self.image) else {
            return Err(CommandError(ErrorScope::Image, "load an image first".into()));
        };
        let crop = crop.clamped_to(decoded_image.size());
        let CroppedImage { pixels, original_size, notes } = decoded_image.crop(crop);
        let (name, label) = (image.name.clone(), image.label.clone());
        let info = ImageInfo { name, pixels, original: original_size, crop: Some(crop), label, notes };
        self.take(info, emit).await
    }
}
