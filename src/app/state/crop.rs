//! The crop: the square of an image that the model gets. The user may move it faster than the worker answers, so at most one
//! request is pending.

use std::sync::Arc;

use crate::{
    data::crop::Crop,
    protocol::{Command, SourceImage},
};

/// A key press moves the crop by this fraction of its side.
const KEY_STEP: f64 = 1.0 / 16.0;

/// Zoom factor of a key press.
const KEY_ZOOM: f64 = 1.1;

/// The crop of the current image.
#[derive(Clone, Debug, PartialEq)]
pub struct CropState {
    /// The full image.
    pub source: Arc<SourceImage>,
    /// The crop that the user chose. The worker may still have an earlier one.
    pub crop: Crop,
    /// Whether a request was sent that the worker has not answered.
    request_pending: bool,
}

impl CropState {
    /// A crop of a new image: the previous crop of this image, or the centered one.
    pub fn new(source: SourceImage, previous: Option<Crop>) -> Self {
        let crop = previous.map_or(Crop::centered(source.size), |crop| crop.clamped_to(source.size));
        Self { source: source.into(), crop, request_pending: false }
    }

    /// Sets the crop. Returns the command to send, if no request is pending.
    pub fn request(&mut self, crop: Crop) -> Option<Command> {
        self.crop = crop.clamped_to(self.source.size);
        if self.request_pending { None } else { Some(self.send_request()) }
    }

    /// The worker has loaded `crop`. Returns the next command to send if the user has moved the crop since.
    pub fn on_crop_loaded(&mut self, crop: Crop) -> Option<Command> {
        self.request_pending = false;
        if crop == self.crop { None } else { Some(self.send_request()) }
    }

    fn send_request(&mut self) -> Command {
        self.request_pending = true;
        Command::CropImage { crop: self.crop }
    }

    /// The crop after a key press; `None` if the key has no meaning. `key` is a value of `KeyboardEvent.key`.
    pub fn after_key(&self, key: &str) -> Option<Crop> {
        let (size, crop) = (self.source.size, self.crop);
        let step = (f64::from(crop.side) * KEY_STEP).max(1.0);
        Some(match key {
            "ArrowLeft" => crop.moved_by(size, [-step, 0.0]),
            "ArrowRight" => crop.moved_by(size, [step, 0.0]),
            "ArrowUp" => crop.moved_by(size, [0.0, -step]),
            "ArrowDown" => crop.moved_by(size, [0.0, step]),
            "+" | "=" => crop.zoomed(size, KEY_ZOOM, crop.center()),
            "-" => crop.zoomed(size, 1.0 / KEY_ZOOM, crop.center()),
            "0" => Crop::centered(size),
            _ => return None,
        })
    }
}
