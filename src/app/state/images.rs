//! Images that the user uploaded.

use crate::{app::domain::source::Source, data::crop::Crop};

/// An uploaded image.
#[derive(Clone, Debug, PartialEq)]
pub struct UserImage {
    /// The file number.
    pub file: usize,
    /// The file name.
    pub name: String,
    /// The crop that the user chose; `None` for the centered one.
    pub crop: Option<Crop>,
}

impl UserImage {
    /// Whether the image comes from this source.
    pub fn is_from(&self, source: Option<Source<u64>>) -> bool {
        source == Some(Source::Uploaded(self.file))
    }
}
