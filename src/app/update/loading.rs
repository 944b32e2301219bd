//! Requests the model, the image, the reference images and the fixture for the current worker.

use crate::{
    app::{
        domain::{builtin_model::ImageDomain, effect::Effect, source::Source},
        state::{State, backend_check::BackendCheck},
    },
    protocol::Command,
};

impl State {
    pub(crate) fn load_model(&self) -> Vec<Effect> {
        let ready = self.backend.current.is_some();
        self.model_wanted.filter(|_| ready).map(Effect::LoadModel).into_iter().collect()
    }

    /// What the views of this world's models need, if the worker does not have it in itself.
    pub(crate) fn load_reference(&self) -> Vec<Effect> {
        let wanted = self.permalink.model.domain == ImageDomain::Photos && self.backend.current.is_some();
        wanted.then_some(Effect::LoadReference).into_iter().collect()
    }

    pub(crate) fn load_image(&self) -> Vec<Effect> {
        let load = |source| match source {
            Source::Builtin(index) if self.permalink.model.domain == ImageDomain::Photos => Effect::LoadPhoto(index),
            Source::Builtin(index) => Effect::Send(Command::LoadSample { index }),
            Source::Uploaded(file) => Effect::LoadImage(file),
        };
        let ready = self.backend.current.is_some();
        self.image_wanted.filter(|_| ready).map(load).into_iter().collect()
    }

    /// Checks the worker in use against the fixture, if there is one.
    pub(crate) fn load_fixture(&mut self) -> Vec<Effect> {
        let ready = self.backend.current.is_some();
        let load = |check: &mut BackendCheck| {
            check.groups.clear();
            Effect::Verify(check.file)
        };
        self.backend_check.as_mut().filter(|_| ready).map(load).into_iter().collect()
    }
}
