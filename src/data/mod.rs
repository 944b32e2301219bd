//! Image data sets: decoding, reading, generating, augmenting and corrupting images on the host.
//!
//! Images are 32x32 RGB bytes, `[3, IMAGE_SIZE, IMAGE_SIZE]`, with the red, green and blue planes one after the other.
//! Readers accept any `impl Read`. Only [`cifar::open`] and [`folder::open`] open files.

pub mod archive;
pub mod augment;
pub mod cifar;
pub mod corruption;
pub mod crop;
pub mod folder;
pub mod image;
mod image_set;
pub mod npz;
pub mod synthetic;

pub use corruption::Corruption;
pub use image_set::ImageSet;

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

/// Side length of the models' square input images, in pixels.
pub const IMAGE_SIZE: usize = 32;
/// Number of values in one image: three planes (R, G, B) of `IMAGE_SIZE * IMAGE_SIZE` values.
pub const IMAGE_LEN: usize = 3 * IMAGE_SIZE * IMAGE_SIZE;

/// Converts bytes (0..=255) to pixel values in [0,1].
pub fn to_unit_range(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect()
}

/// The training and test images of a data set, with the same classes.
#[derive(Clone, Debug)]
pub struct Splits {
    /// Training images.
    pub train: ImageSet,
    /// Test images.
    pub test: ImageSet,
}

impl Splits {
    /// Adds images to the training set (see [`ImageSet::extend_with`]). New classes have no test images.
    pub fn extend_with(&mut self, extra: &ImageSet) {
        self.train.extend_with(extra);
        self.test.classes.clone_from(&self.train.classes);
    }
}

/// An error while reading images. The message contains the path, the problem and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read.
    #[error("{path}: {reason}")]
    Io {
        /// The file or directory.
        path: String,
        /// The error of the operating system.
        reason: std::io::Error,
    },
    /// The content of a file is invalid.
    #[error("{path}: {problem}")]
    Format {
        /// The file; for a member of an archive `archive.tar.gz: member` or `set.zip/member`.
        path: String,
        /// The problem and how to fix it.
        problem: String,
    },
}

fn format_error(path: &str, problem: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), problem: problem.into() }
}

fn io_error(path: &str, reason: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), reason }
}
