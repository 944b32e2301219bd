//! The evaluation of all runs with the same attack.

use crate::{app::state::training::Training, attack::AttackConfig};

/// Runs that are being judged, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvaluation {
    /// Their numbers, the one under way first.
    pub remaining: Vec<u64>,
    pub(crate) attack: AttackConfig,
    pub(crate) images: usize,
    /// The number of the evaluation under way; none while the model is fetched.
    pub(crate) id: Option<u64>,
    /// Waits for a copy of the run as it is now.
    pub(crate) awaits_export: bool,
}

impl Training {
    /// Whether what is judged next waits for a copy of the run.
    pub(crate) fn awaits_run_model(&self) -> bool {
        !self.is_preparing() && self.run_evaluation.as_ref().is_some_and(|evaluation| evaluation.awaits_export)
    }
}
