//! The check of the backend against a fixture computed with PyTorch.

use crate::verify;

/// The check of the backend.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendCheck {
    /// The file number of the fixture.
    pub(crate) file: usize,
    /// The error of each group of values; empty until the check ends.
    pub groups: Vec<verify::GroupCheck>,
    /// Duration.
    pub milliseconds: f64,
}
