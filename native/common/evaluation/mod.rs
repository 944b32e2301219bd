//! Code shared by the programs that evaluate models: which models and images, and evaluations that can be resumed.

pub mod model_file;
mod progress;
pub mod resumable;
pub mod run_spec;

pub use progress::Progress;
