//! Bytes -> pictures -> batches. Readers take `impl Read`; opening files is the shells' business.

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
    /// `path` names the file; for archives `archive.tar.gz: member`.
    #[error("{path}: {problem}")]
    Format { path: String, problem: String },
}
