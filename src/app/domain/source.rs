//! Where a model or an image comes from.

use crate::{app::domain::builtin_model::BuiltinModel, protocol::Slot};

/// Where a model or an image comes from, so that it can be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<T> {
    /// Comes with the page.
    Builtin(T),
    /// The n-th file that the user opened.
    Uploaded(usize),
}

impl Source<BuiltinModel> {
    /// The place in the worker of the model that comes from here.
    pub fn slot(self) -> Slot {
        match self {
            Self::Builtin(model) => model.slot,
            Self::Uploaded(_) => Slot::Custom,
        }
    }
}
