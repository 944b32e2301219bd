//! Effects: what the page does after the state has changed. The runtime runs them.

use crate::{
    app::domain::{backend::BackendKind, builtin_model::BuiltinModel, source::Source},
    protocol::Command,
};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a worker beside the current one, if any.
    StartWorker(BackendKind),
    /// The started worker takes the current one's place.
    ActivateWorker,
    /// End the started worker.
    DropStartingWorker,
    /// End the current worker.
    StopWorker,
    /// Tell the current worker.
    Send(Command),
    /// Get a model's file to the current worker.
    LoadModel(Source<BuiltinModel>),
    /// Get an image's file to the current worker.
    LoadImage(usize),
    /// Get the photo of this number to the current worker.
    LoadPhoto(u64),
    /// Get what views compare photos with to the current worker.
    LoadReference,
    /// Get a fixture's file to the current worker.
    Verify(usize),
    /// Give the user a file of this name.
    Download(String, Vec<u8>),
    /// Keep a copy of the run of this number, what to say of it, and its course.
    SaveRun { number: u64, words: String, history: Vec<u8>, bytes: Vec<u8> },
    /// Keep the course of the run of this number beside its copy.
    SaveHistory(u64, Vec<u8>),
    /// Delete what was kept of the run of this number.
    DeleteSavedRun(u64),
    /// Keep the n-th set brought for later visits, if it is one file.
    SaveDataset(usize),
    /// Delete the data set of this name that was kept.
    DeleteDataset(String),
    /// Get the copy of the run of this number to the current worker, to go on with at most so many images a step (0: as
    /// many as it had).
    ResumeSavedRun(u64, usize),
    /// Get the n-th file brought to the current worker, as a run to go on with.
    ResumeRunFile(usize),
    /// Get the copy of the run of this number to the current worker, as a model to be judged.
    LoadRunModel(u64),
    /// Get the n-th file brought to the current worker, as data to train on.
    LoadDataset(usize),
    /// Take a model as if the user had brought it.
    LoadModelBytes(String, Vec<u8>),
    /// Come back with [`Msg::AttackTimerFired`] in so many milliseconds, unless scheduled anew before.
    StartAttackTimer(u32),
}
