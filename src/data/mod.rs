//! Bytes -> images -> batches. Readers take `impl Read`; only [`cifar::open`] and [`folder::open`] open files.

pub mod archive;
pub mod augment;
pub mod cifar;
pub mod corruption;
pub mod crop;
pub mod folder;
pub mod image;
pub mod npz;
pub mod synthetic;

pub use corruption::Corruption;

use crate::settings::choices;

choices! {
    /// The data sets.
    pub enum Dataset {
        /// The generated set, in the program itself.
        Synthetic = "synthetic",
        Cifar10 = "cifar10",
        Cifar100 = "cifar100",
        /// A folder or a zip of class folders of images.
        Folder = "folder",
    }
}

/// Side of the square images that the models see, in pixels.
pub const IMAGE_SIZE: usize = 32;
/// Values of one image: 3 planes (R, G, B) of `IMAGE_SIZE * IMAGE_SIZE`.
pub const IMAGE_LEN: usize = 3 * IMAGE_SIZE * IMAGE_SIZE;

/// Labeled images held as bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageSet {
    /// `[N, 3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// `[N]`, each below `classes.len()`.
    pub labels: Vec<u16>,
    /// The classes' names, by label.
    pub classes: Vec<String>,
}

impl ImageSet {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images `ids`, in that order.
    pub fn select(&self, ids: &[usize]) -> Self {
        Self {
            pixels: ids.iter().flat_map(|&i| self.image(i)).copied().collect(),
            labels: ids.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// At most `n` of the images, at even distances in the set.
    pub fn subsample(&self, n: usize) -> Self {
        if n >= self.len() { self.clone() } else { self.select(&evenly(self.len(), n).collect::<Vec<_>>()) }
    }

    /// At most `n` of the images, of each class its share, in the order of the set.
    pub fn stratified_sample(&self, n: usize) -> Self {
        if n >= self.len() { self.clone() } else { self.select(&self.share_of_each_class(n)) }
    }

    /// Takes at most `n` of the images out, of each class its share.
    pub fn split_off_stratified(&mut self, n: usize) -> Self {
        let taken = self.share_of_each_class(n.min(self.len()));
        let left: Vec<usize> = (0..self.len()).filter(|i| taken.binary_search(i).is_err()).collect();
        let aside = self.select(&taken);
        *self = self.select(&left);
        aside
    }

    /// Ids of `n` images, in order. Even distances would not do in a set whose labels recur at even distances.
    fn share_of_each_class(&self, n: usize) -> Vec<usize> {
        let mut by_class: Vec<usize> = (0..self.len()).collect();
        by_class.sort_by_key(|&i| self.labels[i]);
        let mut ids: Vec<usize> = evenly(self.len(), n).map(|i| by_class[i]).collect();
        ids.sort_unstable();
        ids
    }

    /// CRC-32 of pixels and labels.
    pub fn checksum(&self) -> u32 {
        let mut sum = flate2::Crc::new();
        sum.update(&self.pixels);
        self.labels.iter().for_each(|label| sum.update(&label.to_le_bytes()));
        sum.sum()
    }

    /// Adds the images of a small set, by the names of their classes. One of a new class is repeated until the class has
    /// as many images as the others have on average: a handful would not be learned.
    pub fn extend_with(&mut self, own: &Self) {
        let usual = self.len() / self.classes.len().max(1);
        for (label, class) in own.classes.iter().enumerate() {
            let ids: Vec<usize> = (0..own.len()).filter(|&i| usize::from(own.labels[i]) == label).collect();
            if ids.is_empty() {
                continue;
            }
            let known = self.classes.iter().position(|known| known == class);
            let label = known.unwrap_or(self.classes.len()) as u16;
            if known.is_none() {
                self.classes.push(class.clone());
            }
            let times = if known.is_some() { 1 } else { usual.div_ceil(ids.len()).max(1) };
            for &id in ids.iter().cycle().take(times * ids.len()) {
                self.pixels.extend_from_slice(own.image(id));
                self.labels.push(label);
            }
        }
    }

    /// Adds an image `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255, of the class of that name, which becomes the last one if it is new.
    ///
    /// # Panics
    /// If `pixels` does not hold [`IMAGE_LEN`] values, or there are 65,536 classes.
    pub fn add(&mut self, pixels: &[u8], class: &str) {
        assert_eq!(pixels.len(), IMAGE_LEN);
        let label = self.classes.iter().position(|known| known == class).unwrap_or(self.classes.len());
        self.labels.push(u16::try_from(label).expect("labels have 16 bits"));
        self.pixels.extend_from_slice(pixels);
        if label == self.classes.len() {
            self.classes.push(class.to_owned());
        }
    }

    /// The bytes of image `i`: `[3, IMAGE_SIZE, IMAGE_SIZE]`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * IMAGE_LEN..(i + 1) * IMAGE_LEN]
    }
}

/// `n` numbers below `len`, n at most len, at even distances.
fn evenly(len: usize, n: usize) -> impl Iterator<Item = usize> {
    // Addresses may have 32 bits, and the product more.
    (0..n as u64).map(move |i| (i * len as u64 / n as u64) as usize)
}

/// Bytes as pixels in [0,1].
pub fn to_unit_range(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect()
}

/// A data set: what to train on and what to judge by.
#[derive(Clone, Debug)]
pub struct Splits {
    pub train: ImageSet,
    pub test: ImageSet,
}

impl Splits {
    /// Adds images to train on, as [`ImageSet::extend_with`] does. New classes have no images to be judged by.
    pub fn extend_with(&mut self, own: &ImageSet) {
        self.train.extend_with(own);
        self.test.classes.clone_from(&self.train.classes);
    }
}

/// What is wrong with the data, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {reason}")]
    Io { path: String, reason: std::io::Error },
    /// `path` names the file; for archives `archive.tar.gz: member` or `set.zip/member`.
    #[error("{path}: {problem}")]
    Format { path: String, problem: String },
}

fn refuse(path: &str, problem: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), problem: problem.into() }
}
