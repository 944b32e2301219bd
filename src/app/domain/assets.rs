//! Paths of the files that are served with the page.

/// The folder of the built-in models.
pub const MODELS: &str = "public/models";

/// The folder of the sample photos.
pub const PHOTO_FILES: &str = "public/photos";

/// Authors and licenses of the photos.
pub const CREDITS: &str = "public/photos/CREDITS.md";
