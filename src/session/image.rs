//! The current image: a sample of the built-in data set, or a square crop of an image file.

use super::{CommandError, Session};
use crate::{
    data::{
        IMAGE_SIZE, ImageSet,
        crop::Crop,
        image::{CroppedImage, DecodedImage},
        synthetic,
    },
    protocol::{ErrorScope, Event, ImageInfo, Slot, SourceImage},
};

/// Longer side of the preview that the page receives, in pixels.
const PREVIEW_SIZE: u32 = 640;

impl Session {
    pub(super) async fn load_image(
        &mut self,
        name: String,
        label: Option<String>,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        let file = DecodedImage::decode(bytes, &name).map_err(|e| CommandError::new(ErrorScope::Image, e))?;
        let size = file.size();
        let crop = Crop::centered(size);
        let CroppedImage { pixels, original_size, notes } = file.crop(crop);
        let can_be_cropped = size[0] != size[1] || size[0] > IMAGE_SIZE as u32;
        if can_be_cropped {
            let (preview_size, preview) = file.preview(PREVIEW_SIZE);
            self.emit(Event::SourceImage { image: SourceImage { size, preview_size, preview } });
        }
        let crop = can_be_cropped.then_some(crop);
        self.image_file = Some(file);
        self.set_image(ImageInfo { name, pixels, original: original_size, crop, label, notes }).await
    }

    pub(super) async fn crop_image(&mut self, crop: Crop) -> Result<(), CommandError> {
        let (Some(file), Some(image)) = (&self.image_file, &self.image) else {
            return Err(CommandError::new(ErrorScope::Image, "load an image first"));
        };
        let crop = crop.clamped_to(file.size());
        let CroppedImage { pixels, original_size, notes } = file.crop(crop);
        let (name, label) = (image.name.clone(), image.label.clone());
        self.set_image(ImageInfo { name, pixels, original: original_size, crop: Some(crop), label, notes }).await
    }

    pub(super) async fn load_sample(&mut self, index: u64) -> Result<(), CommandError> {
        if index >= synthetic::TEST_IMAGE_COUNT {
            let message = format_args!("the built-in data set has no test image number {index}");
            return Err(CommandError::new(ErrorScope::Image, message));
        }
        let ImageSet { pixels, labels, mut classes } = synthetic::test_image(index);
        self.image_file = None;
        self.set_image(ImageInfo {
            name: format!("sample {index}"),
            pixels,
            original: [IMAGE_SIZE as u32; 2],
            crop: None,
            label: Some(classes.swap_remove(labels[0].into())),
            notes: Vec::new(),
        })
        .await
    }

    /// Replaces the current image and classifies it with all models.
    async fn set_image(&mut self, image: ImageInfo) -> Result<(), CommandError> {
        self.emit(Event::ImageLoaded { image: image.clone() });
        self.image = Some(image);
        for loaded in self.models.values_mut() {
            loaded.last_attack = None;
        }
        for slot in self.models.keys().filter(|slot| **slot != Slot::Run) {
            self.classify(*slot).await?;
        }
        Ok(())
    }
}
