//! The part of some feature maps that a unit of work looks at, copied between zeros.

use super::maps::Maps;

/// Pixels that a unit of work computes, about: enough to amortise the weights that it reads, few enough for a cache.
const PIXELS: usize = 256;
/// Units that there are at least, if they are not smaller than a quarter of that, so that threads share even one image.
const UNITS: usize = 4;

/// How `[B, H, W]` pixels are cut into units of work: some whole images, or some rows of one. It does not depend on the
/// number of threads, so that sums over units do not either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Height and width of an image.
    pub size: [usize; 2],
    pub images: usize,
    /// Rows of an image; with several images all.
    pub rows: usize,
}

impl Units {
    /// Units of so many images that begin at a multiple of `step` rows.
    pub fn new(batch: usize, size: [usize; 2], step: usize) -> Self {
        let [h, w] = size;
        let most = (batch * h * w / UNITS).clamp(PIXELS / 4, PIXELS);
        let fits = |rows: &usize| h.is_multiple_of(*rows) && rows.is_multiple_of(step) && rows * w <= most;
        if h * w <= most {
            Self { size, images: (most / 2 / (h * w)).max(1), rows: h }
        } else {
            Self { size, images: 1, rows: (1..=h).rev().find(fits).unwrap_or(h) }
        }
    }

    /// Pixels of a whole unit.
    pub fn pixels(&self) -> usize {
        self.images * self.rows * self.size[1]
    }

    /// The first image and the first row of unit number `i`.
    pub fn first(&self, i: usize) -> [usize; 2] {
        let row = i * self.images * self.rows;
        [row / self.size[0], row % self.size[0]]
    }
}

/// Zero-padded pixels `[images, rows, columns, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Height, width and channels of the maps that it is filled from.
    pub source: [usize; 3],
    pub images: usize,
    pub rows: usize,
    pub columns: usize,
    /// Columns of zeros on the left.
    pub left: usize,
}

impl Window {
    /// Floats.
    pub fn len(&self) -> usize {
        self.images * self.image()
    }

    /// Floats of an image.
    pub fn image(&self) -> usize {
        self.rows * self.row()
    }

    /// Floats of a row.
    pub fn row(&self) -> usize {
        self.columns * self.source[2]
    }

    /// Fills `window` from `maps`, from an image and one of its rows on, which may be negative.
    pub fn fill(&self, maps: &Maps, image: usize, row: isize, window: &mut [f32]) {
        let [h, w, c] = self.source;
        let copied = w.min(self.columns - self.left);
        for (i, window) in window.chunks_exact_mut(self.image()).enumerate() {
            for (y, window) in (row..).zip(window.chunks_exact_mut(self.row())) {
                let (left, rest) = window.split_at_mut(self.left * c);
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
