//! Sends models, images and fixtures to the current worker.

use js_sys::ArrayBuffer;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::{
    app::{
        browser::files,
        domain::{
            assets::{MODELS, PHOTO_FILES},
            builtin_model::{BuiltinModel, ImageDomain},
            sample_photos::PHOTOS,
            source::Source,
        },
        runtime::context::AppContext,
        state::State,
    },
    protocol::{Command, ErrorScope},
};

impl AppContext {
    pub(super) fn load_model(self, source: Source<BuiltinModel>) {
        spawn_local(async move {
            let (name, content) = match source {
                Source::Builtin(model) => {
                    let name = model.file();
                    let content = files::fetch(&format!("{MODELS}/{name}")).await;
                    (name, content)
                }
                Source::Uploaded(file) => self.read_file(file).await,
            };
            let is_wanted =
                |state: &State| state.requested_model == Some(source) || state.comparison.fetching == Some(source);
            if self.state.with_untracked(is_wanted) {
                let command = Command::LoadModel { slot: source.slot(), name, bytes: Vec::new() };
                self.send_file(ErrorScope::Model, &command, content);
            }
        });
    }

    pub(super) fn load_image(self, file: usize) {
        spawn_local(async move {
            let (name, content) = self.read_file(file).await;
            if self.state.with_untracked(|state| state.requested_image) == Some(Source::Uploaded(file)) {
                let command = Command::LoadImage { name, label: None, bytes: Vec::new() };
                self.send_file(ErrorScope::Image, &command, content);
            }
        });
    }

    pub(super) fn load_photo(self, index: u64) {
        spawn_local(async move {
            let Some(photo) = PHOTOS.get(index as usize) else { return };
            let content = files::fetch(&format!("{PHOTO_FILES}/{}.jpg", photo.file)).await;
            let is_wanted = |state: &State| {
                state.requested_image == Some(Source::Builtin(index))
                    && state.permalink.model.domain == ImageDomain::Photos
            };
            if self.state.with_untracked(is_wanted) {
                let label = Some(photo.class().into());
                let command = Command::LoadImage { name: photo.caption(), label, bytes: Vec::new() };
                self.send_file(ErrorScope::Image, &command, content);
            }
        });
    }

    pub(super) fn load_reference_images(self) {
        spawn_local(async move {
            let content = files::fetch(&format!("{PHOTO_FILES}/reference.png")).await;
            let command = Command::LoadReferenceImages { bytes: Vec::new() };
            self.send_file(ErrorScope::Reference, &command, content);
        });
    }

    pub(super) fn load_fixture(self, file: usize) {
        spawn_local(async move {
            let (_, content) = self.read_file(file).await;
            self.send_file(ErrorScope::Fixture, &Command::Verify { bytes: Vec::new() }, content);
        });
    }

    /// The name and the content of an opened file.
    pub(super) async fn read_file(self, number: usize) -> (String, Result<ArrayBuffer, String>) {
        match self.resources.with_value(|resources| resources.files.get(number).cloned()) {
            Some(file) => (file.name(), files::read(&file).await),
            None => (String::new(), Err("The file is no longer available.".into())),
        }
    }
}
