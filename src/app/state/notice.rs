//! Notices to the user.

/// Something the user should know, until they dismiss it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: usize,
    pub text: String,
}
