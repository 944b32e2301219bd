//! Paths of the files that are served with the page.

/// Where the page's own models lie.
pub const MODELS: &str = "public/models";

/// And its photos.
pub const PHOTO_FILES: &str = "public/photos";

/// Who took the photos, and under which licenses they are here.
pub const CREDITS: &str = "public/photos/CREDITS.md";
