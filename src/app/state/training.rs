//! The training section: the current run, archived runs, data sets, and the run that is being prepared.

use crate::{
    app::{
        domain::saved_run::SavedRun,
        state::{
            run::{Run, RunPhase},
            run_evaluation::RunEvaluation,
        },
    },
    protocol::TrainingDataInfo,
};

/// The run that the worker is preparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PendingRun {
    /// A new run with this number.
    Fresh(u64),
    /// A stored copy, by number, and its phase when it is ready.
    Copy(u64, RunPhase),
    /// A run file, by file number, and the number that the run gets.
    File(usize, u64),
}

/// The training section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    /// The current run.
    pub run: Option<Run>,
    /// Closed runs of this session, oldest first.
    pub archived: Vec<Run>,
    /// The training data of the worker.
    pub data: TrainingDataInfo,
    /// Labeled images `[3, 32, 32]` with their classes.
    pub(crate) labeled: Vec<(String, Vec<u8>)>,
    /// The file number of the data set that the worker has.
    pub(crate) dataset_file: Option<usize>,
    /// The file number of the data set that the worker is reading.
    pub loading_dataset: Option<usize>,
    /// Runs of earlier sessions in the browser's storage.
    pub saved_runs: Vec<SavedRun>,
    /// The stored history of a run that is being resumed, with the number of the run.
    pub(crate) loaded_history: Option<(u64, Run)>,
    /// Data sets in the browser's storage, by name and file number.
    pub saved_datasets: Vec<(String, usize)>,
    pub(crate) pending: Option<PendingRun>,
    /// The evaluation of all runs, if there is one.
    pub run_evaluation: Option<RunEvaluation>,
}

impl Training {
    /// Whether a run is being prepared.
    pub fn is_preparing(&self) -> bool {
        self.pending.is_some()
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.archived.iter().chain(&self.run)
    }

    pub(crate) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.archived.iter_mut().chain(&mut self.run).find(|run| run.number == number)
    }
}
