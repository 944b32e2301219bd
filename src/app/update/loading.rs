//! Requests the model, the image, the reference images and the fixture for the current worker.

use crate::{
    app::{
        domain::{builtin_model::ImageDomain, effect::Effect, source::Source},
        state::State,
    },
    protocol::Command,
};

impl State {
    /// Loads the requested model.
    pub(crate) fn load_model(&self) -> Vec<Effect> {
        match self.requested_model {
            Some(source) if self.backend.current.is_some() => vec![Effect::LoadModel(source)],
            _ => Vec::new(),
        }
    }

    /// Loads the reference images of photos. Those of shapes are built into the worker.
    pub(crate) fn load_reference_images(&self) -> Vec<Effect> {
        let are_needed = self.permalink.model.domain == ImageDomain::Photos && self.backend.current.is_some();
        if are_needed { vec![Effect::LoadReferenceImages] } else { Vec::new() }
    }

    /// Loads the requested image.
    pub(crate) fn load_image(&self) -> Vec<Effect> {
        let Some(source) = self.requested_image.filter(|_| self.backend.current.is_some()) else {
            return Vec::new();
        };
        vec![match source {
            Source::Builtin(index) if self.permalink.model.domain == ImageDomain::Photos => Effect::LoadPhoto(index),
            Source::Builtin(index) => Effect::Send(Command::LoadSample { index }),
            Source::Uploaded(file) => Effect::LoadImage(file),
        }]
    }

    /// Checks the current worker against the fixture, if there is one.
    pub(crate) fn load_fixture(&mut self) -> Vec<Effect> {
        let Some(check) = self.backend_check.as_mut().filter(|_| self.backend.current.is_some()) else {
            return Vec::new();
        };
        check.groups.clear();
        vec![Effect::LoadFixture(check.file)]
    }
}
