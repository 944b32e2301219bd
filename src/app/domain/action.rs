//! Messages that change the state: what the user does, and what workers and the browser report.

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

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    Worker(BackendKind, Event),
    /// A worker died or could not be started.
    Crashed(BackendKind, String),
    /// A worker's threads did not start in time.
    ThreadsNotStarted(BackendKind),
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

/// What the user wants of training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingAction {
    /// Change a setting of the next run, and of the one under way if it may change while that runs.
    Set(&'static str, String),
    InitFrom(InitFrom),
    /// Begin a run. The number names its copies: milliseconds since 1970.
    Start(u64),
    Resume,
    Pause,
    /// Train one step.
    Step,
    /// Put the run away; it stays among those compared.
    Close,
    Export(ExportPurpose),
    /// Keep a copy, if there is something new.
    SaveCopy,
    /// Go on with the run that was kept under a number.
    ResumeSaved(u64),
    /// Delete what was kept under a number.
    DeleteSaved(u64),
    /// Go on with the run in the n-th file brought, as number so and so.
    ResumeFile(usize, u64),
    /// Train on the n-th set brought or kept.
    UseDataset(usize),
    /// Delete the set of this name that was kept.
    DeleteDataset(String),
    /// Train on the image in view, too, as one of this class.
    LabelImage(String),
    ClearLabels,
    /// Judge all runs by the attack that is chosen, on so many held-out images.
    EvaluateAll(usize),
}
