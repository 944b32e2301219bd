//! The square crop of an image that a model receives as input.

use serde::{Deserialize, Serialize};

/// A square region of a decoded image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// The left edge.
    pub x: u32,
    /// The top edge.
    pub y: u32,
    /// The side length.
    pub side: u32,
}

/// Smallest side length, unless the image itself is smaller.
const MIN_SIDE: u32 = 8;

impl Crop {
    /// Returns the largest centered square of an image of size `[width, height]`.
    pub fn centered([width, height]: [u32; 2]) -> Self {
        let side = width.min(height);
        Self { x: (width - side) / 2, y: (height - side) / 2, side }
    }

    /// Returns the nearest crop that is completely inside an image of size `[width, height]`.
    pub fn clamped_to(self, [width, height]: [u32; 2]) -> Self {
        let largest = width.min(height);
        let side = self.side.clamp(MIN_SIDE.min(largest), largest);
        Self { x: self.x.min(width - side), y: self.y.min(height - side), side }
    }

    /// Returns the crop moved by `[right, down]` pixels, clamped to the image.
    pub fn moved_by(self, size: [u32; 2], [right, down]: [f64; 2]) -> Self {
        let shift = |position: u32, distance: f64| (f64::from(position) + distance).round() as u32;
        Self { x: shift(self.x, right), y: shift(self.y, down), ..self }.clamped_to(size)
    }

    /// Returns the crop zoomed by `factor`, clamped to the image; factors above 1 make the crop smaller. The image
    /// point
    /// `anchor` stays at the same relative position in the crop.
    pub fn zoomed(self, size: [u32; 2], factor: f64, anchor: [f64; 2]) -> Self {
        let exact_side = f64::from(self.side) / factor;
        // Round away from the current side length, so that each call changes it by at least one pixel.
        let rounded_side = if factor > 1.0 { exact_side.floor() } else { exact_side.ceil() } as u32;
        let side = Self { side: rounded_side, ..self }.clamped_to(size).side;
        let scale = f64::from(side) / f64::from(self.side.max(1));
        let rescale = |edge: u32, anchor: f64| (anchor - (anchor - f64::from(edge)) * scale).round() as u32;
        Self { x: rescale(self.x, anchor[0]), y: rescale(self.y, anchor[1]), side }.clamped_to(size)
    }

    /// Returns the center, `[x, y]`.
    pub fn center(self) -> [f64; 2] {
        [self.x, self.y].map(|edge| f64::from(edge) + f64::from(self.side) / 2.0)
    }
}
