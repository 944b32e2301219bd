//! The check of the backend against a fixture computed with PyTorch.

use crate::verify;

/// How this browser's arithmetic compares with PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendCheck {
    /// The n-th file that the user brought.
    pub(crate) file: usize,
    /// Empty until it is done.
    pub groups: Vec<verify::GroupCheck>,
    pub milliseconds: f64,
}
