//! The evaluation of all runs with the same attack.

use crate::{app::state::training::Training, attack::AttackConfig};

/// The evaluation of all runs, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvaluation {
    /// The numbers of the runs that are not evaluated yet, the current one first.
    pub remaining: Vec<u64>,
    pub(crate) attack: AttackConfig,
    /// Number of images.
    pub(crate) images: usize,
    /// The id of the current evaluation; `None` while its model is loading.
    pub(crate) id: Option<u64>,
    /// Whether the worker has to export the current run first.
    pub(crate) awaits_export: bool,
}

impl Training {
    /// Whether the evaluation waits for the export of the current run.
    pub(crate) fn awaits_run_model(&self) -> bool {
        !self.is_preparing() && self.run_evaluation.as_ref().is_some_and(|evaluation| evaluation.awaits_export)
    }
}
