//! What happens to the page and what it does about it, in the words of [`super::state::State`].

use super::{
    explore::ExplorerView,
    link::{BackendPreference, BuiltinModel},
    reading::GpuAdapter,
    wishes::{SavedRun, TrainingAction},
};
use crate::{
    data::crop::Crop,
    protocol::{AttackImage, Command, ErrorScope, Event, Slot},
};

/// The worker's two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    Cpu,
    Gpu,
}

/// What kind of file the user brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Model,
    Image,
    /// What the PyTorch oracle computed, to check this browser against.
    Fixture,
}

/// Where a model or an image comes from, so that it can be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<T> {
    /// Comes with the page.
    Builtin(T),
    /// The n-th file that the user opened.
    Uploaded(usize),
}

impl Source<BuiltinModel> {
    /// The place in the worker of the model that comes from here.
    pub fn slot(self) -> Slot {
        match self {
            Self::Builtin(model) => model.slot,
            Self::Uploaded(_) => Slot::Custom,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    Worker(BackendKind, Event),
    /// A worker died or could not be started.
    Crashed(BackendKind, String),
    /// The browser said what GPU it has.
    Adapter(GpuAdapter),
    /// This is a phone, or as weak.
    LowEndDevice,
    /// A file could not be fetched or read.
    ReadFailed(ErrorScope, String),
    /// Something could not be done; why, and what to do.
    Notify(String),
    /// What earlier visits have left: runs, and data sets with the numbers of their files.
    SavedItemsFound(Vec<SavedRun>, Vec<(String, usize)>),
    /// What was kept of the course of the run of this number, as [`super::run::Run::history`] told it.
    HistoryLoaded(u64, Vec<u8>),
    /// The set of this name, the n-th file brought, is kept for later visits.
    DatasetStored(String, usize),
    /// Nothing changed for a moment after [`Effect::StartAttackTimer`].
    AttackTimerFired,
    User(UserAction),
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub enum UserAction {
    Model(Source<BuiltinModel>),
    Sample(u64),
    /// Show the n-th file brought.
    OpenFile(usize, FileKind),
    /// Offer the n-th file brought, an image of this name, among the user's own.
    AddUpload(usize, String),
    /// Show the model this square of the user's image.
    Crop(Crop),
    /// Make a file of the attack.
    Save(AttackImage),
    Set(&'static str, String),
    Target(Option<usize>),
    Backend(BackendPreference),
    /// Attack once more from another random start.
    Rerun,
    Stop,
    /// Show the attack as it was at a stop of [`super::rewind::STOPS`].
    Rewind(usize),
    /// Open a view, or none.
    OpenView(Option<ExplorerView>),
    /// Look into a layer, by its name.
    Layer(String),
    /// Show one projection of the transport.
    Projection(usize),
    /// How many images an attack on many shall take.
    SetBatchSize(usize),
    /// Attack so many images of the embedded set.
    AttackBatch(usize),
    Dismiss(usize),
    /// Put the check against a fixture away.
    CloseCheck,
    Navigate(String),
    Train(TrainingAction),
}

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
