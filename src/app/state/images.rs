//! Images that the user uploaded.

use crate::{app::domain::source::Source, data::crop::Crop};

/// An image of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct UserImage {
    /// The n-th file that they brought.
    pub file: usize,
    pub name: String,
    /// The square that they chose of it.
    pub crop: Option<Crop>,
}

impl UserImage {
    pub fn source(&self) -> Option<Source<u64>> {
        Some(Source::Uploaded(self.file))
    }
}
