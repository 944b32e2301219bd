//! Where a model or an image comes from.

use crate::{app::domain::builtin_model::BuiltinModel, protocol::Slot};

/// Where a model or an image comes from, so that it can be loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<T> {
    /// It is served with the page.
    Builtin(T),
    /// The user opened it. The number is its index among the opened files.
    Uploaded(usize),
}

impl Source<BuiltinModel> {
    /// The slot of the worker that a model from this source is loaded into.
    pub fn slot(self) -> Slot {
        match self {
            Self::Builtin(model) => model.slot,
            Self::Uploaded(_) => Slot::Custom,
        }
    }
}
