//! What happens to the page and what it does about it, in the words of [`super::state::State`].

use super::{
    explore::View,
    link::{Shipped, Wish},
    reading::Adapter,
    wishes::{Earlier, Wish as Training},
};
use crate::{
    data::crop::Crop,
    protocol::{Command, Event, Part, Slot, Subject},
};

/// The worker's two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cpu,
    Gpu,
}

/// What kind of file the visitor brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Model,
    Picture,
    /// What the PyTorch oracle computed, to check this browser against.
    Fixture,
}

/// Where a model or a picture comes from, so that it can be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<T> {
    /// Comes with the page.
    Ours(T),
    /// The n-th file that the visitor brought.
    Own(usize),
}

impl Source<Shipped> {
    /// The place in the worker of the model that comes from here.
    pub fn slot(self) -> Slot {
        match self {
            Self::Ours(model) => model.slot,
            Self::Own(_) => Slot::Own,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Worker(Kind, Event),
    /// A worker died or could not be started.
    Crashed(Kind, String),
    /// A worker's threads did not start in time.
    Late(Kind),
    /// The browser said what GPU it has.
    Adapter(Adapter),
    /// This is a phone, or as weak.
    Weak,
    /// A file could not be fetched or read.
    Unreadable(Subject, String),
    /// Something could not be done; why, and what to do.
    Told(String),
    /// What earlier visits have left: runs, and data sets with the numbers of their files.
    Earlier(Vec<Earlier>, Vec<(String, usize)>),
    /// What was kept of the course of the run of this number, as [`super::run::Run::history`] told it.
    Remembered(u64, Vec<u8>),
    /// The set of this name, the n-th file brought, is kept for later visits.
    KeptData(String, usize),
    /// Nothing changed for a moment after [`Task::Schedule`].
    Due,
    Visitor(Intent),
}

/// What the visitor wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    Model(Source<Shipped>),
    Sample(u64),
    /// Show the n-th file brought.
    File(usize, Sort),
    /// Offer the n-th file brought, a picture of this name, among the visitor's own.
    Keep(usize, String),
    /// Show the model this square of the visitor's picture.
    Crop(Crop),
    /// Make a file of the attack.
    Save(Part),
    Set(&'static str, String),
    Target(Option<usize>),
    Backend(Wish),
    /// Attack once more from another random start.
    Again,
    Stop,
    /// Show the attack as it was at a stop of [`super::rewind::STOPS`].
    Rewind(usize),
    /// Open a view, or none.
    View(Option<View>),
    /// Look into a layer, by its name.
    Layer(String),
    /// Show one projection of the transport.
    Projection(usize),
    /// How many pictures an attack on many shall take.
    Pictures(usize),
    /// Attack so many pictures of the embedded set.
    Many(usize),
    Dismiss(usize),
    /// Put the check against a fixture away.
    CloseCheck,
    Address(String),
    Train(Training),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Start a worker beside the current one, if any.
    Start(Kind),
    /// The started worker takes the current one's place.
    Promote,
    /// End the started worker.
    Discard,
    /// End the current worker.
    End,
    /// Tell the current worker.
    Send(Command),
    /// Get a model's file to the current worker.
    LoadModel(Source<Shipped>),
    /// Get a picture's file to the current worker.
    LoadPicture(usize),
    /// Get the photo of this number to the current worker.
    LoadPhoto(u64),
    /// Get what views compare photos with to the current worker.
    LoadReference,
    /// Get a fixture's file to the current worker.
    Verify(usize),
    /// Give the visitor a file of this name.
    Download(String, Vec<u8>),
    /// Keep a copy of the run of this number, what to say of it, and its course.
    Keep { number: u64, words: String, history: Vec<u8>, bytes: Vec<u8> },
    /// Keep the course of the run of this number beside its copy.
    Remember(u64, Vec<u8>),
    /// Delete what was kept of the run of this number.
    Forget(u64),
    /// Keep the n-th set brought for later visits, if it is one file.
    KeepData(usize),
    /// Delete the data set of this name that was kept.
    ForgetData(String),
    /// Get the copy of the run of this number to the current worker, to go on with at most so many pictures a step (0: as
    /// many as it had).
    TakeUp(u64, usize),
    /// Get the n-th file brought to the current worker, as a run to go on with.
    Resume(usize),
    /// Get the copy of the run of this number to the current worker, as a model to be judged.
    LoadRun(u64),
    /// Get the n-th file brought to the current worker, as data to train on.
    LoadData(usize),
    /// Take a model as if the visitor had brought it.
    Try(String, Vec<u8>),
    /// Come back with [`Input::Due`] in so many milliseconds, unless scheduled anew before.
    Schedule(u32),
}
