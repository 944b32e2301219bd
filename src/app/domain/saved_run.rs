//! A training run that is stored in the browser.

/// A training run that is stored in the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedRun {
    /// Names its files: the time of creation in milliseconds since 1970.
    pub number: u64,
    /// A short description for the user.
    pub description: String,
}
