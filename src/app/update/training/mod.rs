//! Training. A run trains whenever the worker has nothing else to do: any other command interrupts it, and
//! `State::schedule_next` resumes it.

pub mod actions;
pub mod evaluate_runs;
pub mod lifecycle;
pub mod worker_events;

use crate::{
    app::domain::effect::Effect,
    protocol::{Command, ExportPurpose},
};

pub(crate) fn label((class, pixels): (String, Vec<u8>)) -> Effect {
    Effect::Send(Command::AddLabeledImage { class, pixels })
}

pub(crate) fn export(number: u64, purpose: ExportPurpose) -> Effect {
    Effect::Send(Command::ExportRun { number, purpose })
}
