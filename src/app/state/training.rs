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

/// What the worker is preparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PendingRun {
    Fresh(u64),
    /// A copy, to go on at once if it did before.
    Copy(u64, RunPhase),
    /// The n-th file brought, as number so and so.
    File(usize, u64),
}

/// All that the page knows of training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    pub run: Option<Run>,
    /// The runs before, oldest first.
    pub archived: Vec<Run>,
    pub data: TrainingDataInfo,
    /// Images `[3, 32, 32]` that the user labeled, with their classes.
    pub(crate) labeled: Vec<(String, Vec<u8>)>,
    /// The set brought that the worker has, and the one that it reads.
    pub(crate) dataset_file: Option<usize>,
    pub loading_dataset: Option<usize>,
    pub saved_runs: Vec<SavedRun>,
    /// What was kept of the course of a run that is taken up.
    pub(crate) loaded_history: Option<(u64, Run)>,
    /// Data sets that are kept in this browser, with the numbers of their files.
    pub saved_datasets: Vec<(String, usize)>,
    pub(crate) pending: Option<PendingRun>,
    pub run_evaluation: Option<RunEvaluation>,
}

impl Training {
    /// A run is being prepared.
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
