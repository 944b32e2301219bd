//! The square of an image that a model sees.

use serde::{Deserialize, Serialize};

/// A square in the pixels of an upright image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// The left and the upper edge.
    pub x: u32,
    pub y: u32,
    pub side: u32,
}

/// Smaller squares are not worth a look.
const SMALLEST: u32 = 8;

impl Crop {
    /// The largest square in the middle of an image of so many pixels, `[width, height]`.
    pub fn centered([width, height]: [u32; 2]) -> Self {
        let side = width.min(height);
        Self { x: (width - side) / 2, y: (height - side) / 2, side }
    }

    /// The nearest square that lies inside the image.
    pub fn clamped_to(self, [width, height]: [u32; 2]) -> Self {
        let largest = width.min(height);
        let side = self.side.clamp(SMALLEST.min(largest), largest);
        Self { x: self.x.min(width - side), y: self.y.min(height - side), side }
    }

    /// Moved by so many pixels, as far as the image goes.
    pub fn moved_by(self, size: [u32; 2], [right, down]: [f64; 2]) -> Self {
        let moved = |at: u32, by: f64| (f64::from(at) + by).round() as u32;
        Self { x: moved(self.x, right), y: moved(self.y, down), ..self }.clamped_to(size)
    }

    /// So many times as near: `factor` above 1 makes the square smaller. The pixel `about` keeps its place in the square.
    pub fn zoomed(self, size: [u32; 2], factor: f64, about: [f64; 2]) -> Self {
        let side = f64::from(self.side) / factor;
        // Whole pixels, and at least one of them.
        let side = if factor > 1.0 { side.floor() } else { side.ceil() } as u32;
        let side = Self { side, ..self }.clamped_to(size).side;
        let share = f64::from(side) / f64::from(self.side.max(1));
        let moved = |at: u32, about: f64| (about - (about - f64::from(at)) * share).round() as u32;
        Self { x: moved(self.x, about[0]), y: moved(self.y, about[1]), side }.clamped_to(size)
    }

    /// The pixel in its middle.
    pub fn center(self) -> [f64; 2] {
        [self.x, self.y].map(|at| f64::from(at) + f64::from(self.side) / 2.0)
    }
}
