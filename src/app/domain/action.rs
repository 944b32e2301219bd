//! Messages that change the state: actions of the user, and reports of workers and the browser.

use crate::{
    app::domain::{
        backend::{BackendKind, BackendPreference, GpuAdapter},
        builtin_model::BuiltinModel,
        explorer_view::ExplorerView,
        file_kind::FileKind,
        saved_run::SavedRun,
        source::Source,
    },
    data::crop::Crop,
    protocol::{AttackImage, ErrorScope, Event, ExportPurpose, InitFrom},
};

/// Number of stops of the rewind slider.
pub const REWIND_STOPS: usize = 20;

/// A message to the state. File numbers are indices into the files that the user opened in this session.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// An event of a worker.
    Worker(BackendKind, Event),
    /// A worker crashed or could not be started, with the reason.
    Crashed(BackendKind, String),
    /// The threads of a worker did not start in time.
    ThreadsNotStarted(BackendKind),
    /// The result of the request for a WebGPU adapter.
    Adapter(GpuAdapter),
    /// The device is a phone or has little memory.
    LowEndDevice,
    /// A file could not be fetched or read, with the reason.
    ReadFailed(ErrorScope, String),
    /// A notice for the user: a problem and what to do about it.
    Notify(String),
    /// Items found in the browser's storage: runs, and data sets by name and file number.
    SavedItemsFound(Vec<SavedRun>, Vec<(String, usize)>),
    /// The stored history of the run with this number, as encoded by `Run::history`.
    HistoryLoaded(u64, Vec<u8>),
    /// The data set with this name and file number was written to the browser's storage.
    DatasetStored(String, usize),
    /// The timer of [`Effect::StartAttackTimer`](crate::app::domain::effect::Effect::StartAttackTimer) fired.
    AttackTimerFired,
    /// An action of the user.
    User(UserAction),
}

/// An action of the user.
#[derive(Clone, Debug, PartialEq)]
pub enum UserAction {
    /// Focus on a model.
    SelectModel(Source<BuiltinModel>),
    /// Show a sample of the current image domain.
    SelectSample(u64),
    /// Use an opened file.
    OpenFile(usize, FileKind),
    /// Add an image file to the uploads, by file number and name.
    AddUpload(usize, String),
    /// Crop the current image.
    SetCrop(Crop),
    /// Export an image of the attack as a PNG file.
    ExportImage(AttackImage),
    /// Change a setting of the attack.
    SetAttackSetting(&'static str, String),
    /// Set the target class; `None` for an untargeted attack.
    SetTarget(Option<usize>),
    /// Choose the backend.
    SetBackend(BackendPreference),
    /// Run the attack again with another seed.
    Rerun,
    /// Stop the current attack.
    Stop,
    /// Show a step of the attack: a slider stop from 0 to
    /// [`REWIND_STOPS`], which is the final result.
    Rewind(usize),
    /// Open a view of the explorer; `None` closes it.
    OpenView(Option<ExplorerView>),
    /// Show the channels of a layer, by name; empty for none.
    SelectLayer(String),
    /// Show a projection of the transport.
    SelectProjection(usize),
    /// Set the number of images of a batch attack.
    SetBatchSize(usize),
    /// Attack this number of images.
    AttackBatch(usize),
    /// Dismiss a notice, by id.
    DismissNotice(usize),
    /// Close the result of the backend check.
    CloseBackendCheck,
    /// Apply a URL hash.
    Navigate(String),
    /// An action in the training section.
    Train(TrainingAction),
}

/// An action of the user in the training section. Run numbers are the time of creation in milliseconds since 1970; they name
/// the stored copies.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingAction {
    /// Change a setting of the next run, and of the current one if the setting can change during training.
    Set(&'static str, String),
    /// Choose the initial weights of the next run.
    InitFrom(InitFrom),
    /// Start a run with this number.
    Start(u64),
    /// Resume the current run.
    Resume,
    /// Pause the current run.
    Pause,
    /// Train one step.
    Step,
    /// Close the current run. It stays in the table of runs.
    Close,
    /// Export the current run.
    Export(ExportPurpose),
    /// Store a copy of the current run if it has unsaved steps.
    SaveCopy,
    /// Resume a stored run.
    ResumeSaved(u64),
    /// Delete a stored run.
    DeleteSaved(u64),
    /// Resume the run in a file, by file number; the run gets the second number.
    ResumeFile(usize, u64),
    /// Train on an opened data set, by file number.
    UseDataset(usize),
    /// Delete a stored data set, by name.
    DeleteDataset(String),
    /// Add the current image to the training data, with this class.
    LabelImage(String),
    /// Remove all labeled images from the training data.
    ClearLabels,
    /// Evaluate all runs with the current attack on this number of held-out images.
    EvaluateAll(usize),
}
