//! What the programs share that judge models: which models on which images, in a directory to go on in.

pub mod job;
mod progress;
pub mod setup;
pub mod subject;

pub use progress::Progress;
