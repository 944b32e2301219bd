//! What the native programs share: arguments made from settings, data sets from disk, run directories, pictures.

pub mod arguments;
pub mod dataset;
pub mod files;
pub mod plot;
pub mod run;
