//! Labeled images in memory, and ways to select from them.

use super::{IMAGE_LEN, IMAGE_SIZE};

/// Labeled 32x32 RGB images, stored as bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageSet {
    /// `[N, 3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// `[N]`, each below `classes.len()`.
    pub labels: Vec<u16>,
    /// The class names, indexed by label.
    pub classes: Vec<String>,
}

impl ImageSet {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether the set has no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the bytes of image `i`: `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    ///
    /// # Panics
    /// If `i` is not below [`ImageSet::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * IMAGE_LEN..(i + 1) * IMAGE_LEN]
    }

    /// Returns the images with the given indices, in the order of `ids`.
    ///
    /// # Panics
    /// If an index is not below [`ImageSet::len`].
    pub fn select(&self, ids: &[usize]) -> Self {
        Self {
            pixels: ids.iter().flat_map(|&i| self.image(i)).copied().collect(),
            labels: ids.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// Returns at most `n` images at evenly spaced positions.
    pub fn subsample(&self, n: usize) -> Self {
        if n >= self.len() {
            return self.clone();
        }
        let ids: Vec<usize> = evenly_spaced(self.len(), n).collect();
        self.select(&ids)
    }

    /// Returns at most `n` images with the class proportions of the whole set, in their original order.
    pub fn stratified_sample(&self, n: usize) -> Self {
        if n >= self.len() { self.clone() } else { self.select(&self.stratified_ids(n)) }
    }

    /// Removes at most `n` images with the class proportions of the whole set, and returns them.
    pub fn split_off_stratified(&mut self, n: usize) -> Self {
        let removed_ids = self.stratified_ids(n.min(self.len()));
        let remaining_ids: Vec<usize> = (0..self.len()).filter(|i| removed_ids.binary_search(i).is_err()).collect();
        let removed = self.select(&removed_ids);
        *self = self.select(&remaining_ids);
        removed
    }

    /// Returns `n` indices in ascending order, with the class proportions of the whole set.
    ///
    /// The images are sorted by label first: evenly spaced positions in the original order can miss classes if labels
    /// repeat periodically.
    fn stratified_ids(&self, n: usize) -> Vec<usize> {
        let mut by_class: Vec<usize> = (0..self.len()).collect();
        by_class.sort_by_key(|&i| self.labels[i]);
        let mut ids: Vec<usize> = evenly_spaced(self.len(), n).map(|i| by_class[i]).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the CRC-32 checksum of pixels and labels.
    pub fn checksum(&self) -> u32 {
        let mut checksum = flate2::Crc::new();
        checksum.update(&self.pixels);
        for label in &self.labels {
            checksum.update(&label.to_le_bytes());
        }
        checksum.sum()
    }

    /// Adds the images of a small set, matching classes by name.
    ///
    /// Images of a new class are repeated until the class has the average size of the existing classes. Otherwise a few
    /// images would be too rare for training.
    pub fn extend_with(&mut self, extra: &Self) {
        let images_per_class = self.len() / self.classes.len().max(1);
        for (extra_label, class) in extra.classes.iter().enumerate() {
            let ids: Vec<usize> = (0..extra.len()).filter(|&i| usize::from(extra.labels[i]) == extra_label).collect();
            if ids.is_empty() {
                continue;
            }
            let existing = self.classes.iter().position(|name| name == class);
            let label = existing.unwrap_or(self.classes.len()) as u16;
            let mut repeats = 1;
            if existing.is_none() {
                self.classes.push(class.clone());
                repeats = images_per_class.div_ceil(ids.len()).max(1);
            }
            for &id in ids.iter().cycle().take(repeats * ids.len()) {
                self.pixels.extend_from_slice(extra.image(id));
                self.labels.push(label);
            }
        }
    }

    /// Adds one image, `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255. An unknown class name becomes the last class.
    ///
    /// # Panics
    /// If `pixels` does not have [`IMAGE_LEN`] values, or if there would be more than 65,536 classes.
    pub fn add(&mut self, pixels: &[u8], class: &str) {
        assert_eq!(pixels.len(), IMAGE_LEN, "an image has 3 x {IMAGE_SIZE} x {IMAGE_SIZE} values");
        let label = self.classes.iter().position(|name| name == class).unwrap_or(self.classes.len());
        self.labels.push(u16::try_from(label).expect("labels have 16 bits"));
        self.pixels.extend_from_slice(pixels);
        if label == self.classes.len() {
            self.classes.push(class.to_owned());
        }
    }
}

/// Returns `n` evenly spaced indices below `len`, for `n` at most `len`.
fn evenly_spaced(len: usize, n: usize) -> impl Iterator<Item = usize> {
    // The product can overflow a `usize` of 32 bits (wasm32).
    (0..n as u64).map(move |i| (i * len as u64 / n as u64) as usize)
}
