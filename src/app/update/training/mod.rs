//! Training. A run trains whenever the worker has nothing else to do: any other command interrupts it, and
//! `State::schedule_next` resumes it.

pub mod actions;
pub mod evaluate_runs;
pub mod lifecycle;
pub mod restore;
pub mod worker_events;

use crate::{
    app::domain::effect::Effect,
    protocol::{Command, ExportPurpose},
};

/// Adds an image `[3, 32, 32]` to the training data of the worker.
pub(crate) fn add_labeled_image(class: String, pixels: Vec<u8>) -> Effect {
    Effect::Send(Command::AddLabeledImage { class, pixels })
}

/// Exports the run with this number from the worker.
pub(crate) fn export_run(number: u64, purpose: ExportPurpose) -> Effect {
    Effect::Send(Command::ExportRun { number, purpose })
}
