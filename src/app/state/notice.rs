//! Notices to the user.

/// A notice that stays until the user dismisses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Identifies the notice.
    pub id: usize,
    /// One or more sentences.
    pub text: String,
}
