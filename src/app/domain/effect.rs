//! Effects: what the page does after the state has changed. The runtime runs them.

use crate::{
    app::domain::{backend::BackendKind, builtin_model::BuiltinModel, source::Source},
    protocol::Command,
};

/// An effect. File numbers are indices into the files that the user opened in this session; run numbers name stored copies.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a worker while the current one, if any, keeps running.
    StartWorker(BackendKind),
    /// Replace the current worker by the started one.
    ActivateWorker,
    /// Terminate the worker that is starting.
    DropStartingWorker,
    /// Terminate the current worker.
    StopWorker,
    /// Send a command to the current worker.
    Send(Command),
    /// Send the file of a model to the current worker.
    LoadModel(Source<BuiltinModel>),
    /// Send an image file to the current worker.
    LoadImage(usize),
    /// Send a sample photo to the current worker.
    LoadPhoto(u64),
    /// Send the reference images that photos are compared with to the current worker.
    LoadReferenceImages,
    /// Send a fixture file to the current worker.
    LoadFixture(usize),
    /// Download a file, by name and content.
    Download(String, Vec<u8>),
    /// Store a copy of a run with its description and history.
    SaveRun(RunCopy),
    /// Store the history of a run beside its copy.
    SaveHistory(u64, Vec<u8>),
    /// Delete the stored copy of a run.
    DeleteSavedRun(u64),
    /// Store a data set if it is a single file.
    SaveDataset(usize),
    /// Delete a stored data set, by name.
    DeleteDataset(String),
    /// Send the copy of a run to the current worker, to resume it with at most this batch size (0: unchanged).
    ResumeSavedRun(u64, usize),
    /// Send a run file to the current worker, to resume it.
    ResumeRunFile(usize),
    /// Send the copy of a run to the current worker, as a model to evaluate.
    LoadRunModel(u64),
    /// Send a data set to the current worker, to train on it.
    LoadDataset(usize),
    /// Open a model, by name and content, as if the user had uploaded it.
    OpenModelBytes(String, Vec<u8>),
    /// Dispatch [`Msg::AttackTimerFired`](crate::app::domain::action::Msg::AttackTimerFired) after this number of
    /// milliseconds. Restarts the timer if it is running.
    StartAttackTimer(u32),
}

/// A copy of a run, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCopy {
    /// The number of the run.
    pub number: u64,
    /// A short description for the list of stored runs.
    pub description: String,
    /// The records and results so far, as encoded by `Run::history`.
    pub history: Vec<u8>,
    /// The checkpoint.
    pub bytes: Vec<u8>,
}
