//! Chooses the model and the image.

pub mod camera_dialog;
pub mod crop_editor;
pub mod drop_zone;
pub mod sample_gallery;
pub mod toolbar;
pub mod uploads;
pub mod url_input;
