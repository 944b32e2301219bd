//! Plain types and text helpers of the page. They know neither the state nor the browser.

pub mod action;
pub mod assets;
pub mod backend;
pub mod builtin_model;
pub mod effect;
pub mod explorer_view;
pub mod file_kind;
pub mod format;
pub mod image_url;
pub mod percent_decoding;
pub mod sample_photos;
pub mod saved_run;
pub mod source;
pub mod tour;
