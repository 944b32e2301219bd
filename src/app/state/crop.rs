//! The crop: the square of an image that the model gets. The user may move it faster than the worker answers, so at most one
//! request is pending.

use std::sync::Arc;

use crate::{
    data::crop::Crop,
    protocol::{Command, SourceImage},
};

#[derive(Clone, Debug, PartialEq)]
pub struct CropState {
    pub source: Arc<SourceImage>,
    /// Where the user has put it.
    pub crop: Crop,
    /// Whether the worker has still to answer: then nothing more is asked of it.
    request_pending: bool,
}

/// A key press moves the square by this share of its side.
const STEP: f64 = 1.0 / 16.0;

/// How much nearer a key press looks.
const NEARER: f64 = 1.1;

impl CropState {
    /// As the worker shows a new file, or where the user had put the square before.
    pub fn new(whole: SourceImage, before: Option<Crop>) -> Self {
        let crop = before.map_or(Crop::centered(whole.size), |crop| crop.clamped_to(whole.size));
        Self { source: whole.into(), crop, request_pending: false }
    }

    /// The user puts the square there.
    pub fn request(&mut self, crop: Crop) -> Option<Command> {
        self.crop = crop.clamped_to(self.source.size);
        if self.request_pending { None } else { self.send_request() }
    }

    /// The model sees `crop` now: asks for another if the user has moved on.
    pub fn on_crop_loaded(&mut self, crop: Crop) -> Option<Command> {
        self.request_pending = false;
        if crop == self.crop { None } else { self.send_request() }
    }

    fn send_request(&mut self) -> Option<Command> {
        self.request_pending = true;
        Some(Command::CropImage { crop: self.crop })
    }

    /// Where a key puts the square; none if it means nothing here.
    pub fn key(&self, key: &str) -> Option<Crop> {
        let (size, crop) = (self.source.size, self.crop);
        let step = (f64::from(crop.side) * STEP).max(1.0);
        Some(match key {
            "ArrowLeft" => crop.moved_by(size, [-step, 0.0]),
            "ArrowRight" => crop.moved_by(size, [step, 0.0]),
            "ArrowUp" => crop.moved_by(size, [0.0, -step]),
            "ArrowDown" => crop.moved_by(size, [0.0, step]),
            "+" | "=" => crop.zoomed(size, NEARER, crop.center()),
            "-" => crop.zoomed(size, 1.0 / NEARER, crop.center()),
            "0" => Crop::centered(size),
            _ => return None,
        })
    }
}
