//! Work units of a convolution and the zero-padded input window that each unit reads.

use super::fused_input::FeatureMaps;

/// Maximum of pixels per unit: enough to amortize reading the weights, few enough to stay in cache.
const MAX_PIXELS: usize = 256;
/// Minimum of units, so that threads can share even a single image. Units of fewer than `MAX_PIXELS / 4` pixels are
/// avoided.
const MIN_UNITS: usize = 4;

/// Division of `[B, H, W]` pixels into units of work: several whole images, or some rows of one image. It does not
/// depend on the number of threads, so sums over units do not depend on it either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkUnits {
    /// Height and width of an image.
    pub size: [usize; 2],
    /// Images per unit.
    pub images: usize,
    /// Rows per image of a unit; all rows if a unit has several images.
    pub rows: usize,
}

impl WorkUnits {
    /// Divides `batch` images into units whose first rows are multiples of `row_step`.
    pub fn new(batch: usize, size: [usize; 2], row_step: usize) -> Self {
        let [h, w] = size;
        let most = (batch * h * w / MIN_UNITS).clamp(MAX_PIXELS / 4, MAX_PIXELS);
        let fits = |rows: &usize| h.is_multiple_of(*rows) && rows.is_multiple_of(row_step) && rows * w <= most;
        if h * w <= most {
            Self { size, images: (most / 2 / (h * w)).max(1), rows: h }
        } else {
            Self { size, images: 1, rows: (1..=h).rev().find(fits).unwrap_or(h) }
        }
    }

    /// Returns the number of pixels of a full unit.
    pub fn pixels(&self) -> usize {
        self.images * self.rows * self.size[1]
    }

    /// Returns the first image and the first row of unit `i`.
    pub fn first(&self, i: usize) -> [usize; 2] {
        let row = i * self.images * self.rows;
        [row / self.size[0], row % self.size[0]]
    }
}

/// Shape of a zero-padded buffer `[images, rows, columns, channels]` that holds the input of one unit.
#[derive(Clone, Copy, Debug)]
pub struct PaddedWindow {
    /// Height, width and channels of the feature maps that it is copied from.
    pub source: [usize; 3],
    /// Images.
    pub images: usize,
    /// Rows per image, with padding.
    pub rows: usize,
    /// Columns, with padding.
    pub columns: usize,
    /// Columns of padding on the left.
    pub left: usize,
}

impl PaddedWindow {
    /// Returns the number of floats.
    pub fn len(&self) -> usize {
        self.images * self.image_len()
    }

    /// Returns the number of floats of an image.
    pub fn image_len(&self) -> usize {
        self.rows * self.row_len()
    }

    /// Returns the number of floats of a row.
    pub fn row_len(&self) -> usize {
        self.columns * self.source[2]
    }

    /// Copies `maps` into `buffer`, starting at an image and a row. A negative row is padding.
    pub fn fill(&self, maps: &FeatureMaps, image: usize, row: isize, buffer: &mut [f32]) {
        let [h, w, c] = self.source;
        let copied = w.min(self.columns - self.left);
        for (i, image_buffer) in buffer.chunks_exact_mut(self.image_len()).enumerate() {
            for (y, row_buffer) in (row..).zip(image_buffer.chunks_exact_mut(self.row_len())) {
                let (left, rest) = row_buffer.split_at_mut(self.left * c);
                let (pixels, right) = rest.split_at_mut(copied * c);
                if y < 0 || y >= h as isize {
                    pixels.fill(0.0);
                } else {
                    maps.write(((image + i) * h + y as usize) * w * c, c, pixels);
                }
                left.fill(0.0);
                right.fill(0.0);
            }
        }
    }
}
