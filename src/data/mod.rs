//! Bytes -> pictures -> batches. Readers take `impl Read`; opening files is the shells' business.

pub mod archive;
pub mod augment;
pub mod cifar;
pub mod crop;
pub mod folder;
pub mod picture;
pub mod synthetic;

/// Side of the square pictures that the models see, in pixels.
pub const SIDE: usize = 32;
/// Values of one picture: 3 planes (R, G, B) of `SIDE * SIDE`.
pub const VALUES: usize = 3 * SIDE * SIDE;

/// Labelled pictures held as bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// `[N, 3, SIDE, SIDE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// `[N]`, each below `classes.len()`.
    pub labels: Vec<u16>,
    /// The classes' names, by label.
    pub classes: Vec<String>,
}

impl Pictures {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pictures `ids`, in that order.
    pub fn select(&self, ids: &[usize]) -> Self {
        Self {
            pixels: ids.iter().flat_map(|&i| self.picture(i)).copied().collect(),
            labels: ids.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// Adds a picture `[3, SIDE, SIDE]`, 0..=255, of the class of that name, which becomes the last one if it is new.
    ///
    /// # Panics
    /// If `pixels` does not hold [`VALUES`] values, or there are 65,536 classes.
    pub fn add(&mut self, pixels: &[u8], class: &str) {
        assert_eq!(pixels.len(), VALUES);
        let label = self.classes.iter().position(|known| known == class).unwrap_or(self.classes.len());
        self.labels.push(u16::try_from(label).expect("labels have 16 bits"));
        self.pixels.extend_from_slice(pixels);
        if label == self.classes.len() {
            self.classes.push(class.to_owned());
        }
    }

    /// The bytes of picture `i`: `[3, SIDE, SIDE]`.
    pub fn picture(&self, i: usize) -> &[u8] {
        &self.pixels[i * VALUES..(i + 1) * VALUES]
    }
}

/// A data set: what to train on and what to judge by.
#[derive(Clone, Debug)]
pub struct Splits {
    pub train: Pictures,
    pub test: Pictures,
}

/// What is wrong with the data, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// `path` names the file; for archives `archive.tar.gz: member` or `set.zip/member`.
    #[error("{path}: {problem}")]
    Format { path: String, problem: String },
}
