//! A training run that is stored in the browser.

/// A run that was kept in an earlier visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedRun {
    pub number: u64,
    /// What it is, for people.
    pub words: String,
}
