//! Runs effects: sends commands to workers, fetches and reads files, stores runs.

use gloo::timers::callback::Timeout;
use js_sys::{Array, ArrayBuffer, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

use crate::{
    app::{
        browser::{
            files, storage,
            worker_client::{WorkerClient, WorkerMessage},
        },
        domain::{
            action::Msg,
            assets::{MODELS, PHOTO_FILES},
            builtin_model::ImageDomain,
            effect::Effect,
            sample_photos::PHOTOS,
            source::Source,
        },
        runtime::context::AppContext,
        state::State,
    },
    protocol::{Command, ErrorScope, Slot},
};

impl AppContext {
    pub(crate) fn run_effect(self, task: Effect) {
        match task {
            Effect::StartWorker(kind) => {
                let report = move |report| match report {
                    WorkerMessage::Event(event) => self.send(Msg::Worker(kind, event)),
                    // Deferred, because the worker's own handler is running and is about to be dropped.
                    WorkerMessage::Crashed(why) => spawn_local(async move { self.send(Msg::Crashed(kind, why)) }),
                    WorkerMessage::Late => spawn_local(async move { self.send(Msg::ThreadsNotStarted(kind)) }),
                };
                let threads = self.state.with_untracked(|s| !s.backend.cpu_crashed);
                match WorkerClient::start(kind, threads, report) {
                    Ok(client) => {
                        client.send(&Command::OpenDevice, JsValue::UNDEFINED);
                        self.resources.update_value(|resources| resources.starting = Some(client));
                    }
                    Err(why) => self.send(Msg::Crashed(kind, why)),
                }
            }
            Effect::ActivateWorker => {
                let old = self.resources.try_update_value(|resources| {
                    let started = resources.starting.take();
                    std::mem::replace(&mut resources.current, started)
                });
                drop(old);
            }
            Effect::StopWorker => self.resources.update_value(|resources| resources.current = None),
            Effect::DropStartingWorker => self.resources.update_value(|resources| resources.starting = None),
            Effect::Send(command) => self.send_command(&command, JsValue::UNDEFINED),
            Effect::LoadModel(source) => spawn_local(async move {
                let (name, bytes) = match source {
                    Source::Builtin(model) => (model.file(), files::fetch(&format!("{MODELS}/{}", model.file())).await),
                    Source::Uploaded(n) => self.read_upload(n).await,
                };
                let wanted =
                    self.state.with_untracked(|s| [s.model_wanted, s.comparison.fetching].contains(&Some(source)));
                let command = Command::LoadModel { slot: source.slot(), name, bytes: Vec::new() };
                self.send_bytes(wanted, ErrorScope::Model, command, bytes);
            }),
            Effect::LoadImage(n) => spawn_local(async move {
                let (name, bytes) = self.read_upload(n).await;
                let wanted = self.state.with_untracked(|s| s.image_wanted) == Some(Source::Uploaded(n));
                self.send_bytes(
                    wanted,
                    ErrorScope::Image,
                    Command::LoadImage { name, label: None, bytes: Vec::new() },
                    bytes,
                );
            }),
            Effect::LoadPhoto(index) => spawn_local(async move {
                let Some(photo) = PHOTOS.get(index as usize) else { return };
                let bytes = files::fetch(&format!("{PHOTO_FILES}/{}.jpg", photo.file)).await;
                let asked = |s: &State| (s.image_wanted, s.permalink.model.domain);
                let wanted = self.state.with_untracked(asked) == (Some(Source::Builtin(index)), ImageDomain::Photos);
                let command =
                    Command::LoadImage { name: photo.caption(), label: Some(photo.class().into()), bytes: Vec::new() };
                self.send_bytes(wanted, ErrorScope::Image, command, bytes);
            }),
            Effect::LoadReference => spawn_local(async move {
                let bytes = files::fetch(&format!("{PHOTO_FILES}/reference.png")).await;
                self.send_bytes(true, ErrorScope::Reference, Command::LoadReferenceImages { bytes: Vec::new() }, bytes);
            }),
            Effect::Verify(n) => spawn_local(async move {
                let (_, bytes) = self.read_upload(n).await;
                self.send_bytes(true, ErrorScope::Fixture, Command::Verify { bytes: Vec::new() }, bytes);
            }),
            Effect::Download(name, bytes) => files::download_bytes(&name, &bytes),
            Effect::SaveRun { number, words, history, bytes } => {
                let Ok(copy) = files::blob("", &bytes) else { return };
                let before = self.resources.try_update_value(|resources| {
                    let before = [resources.copies.is_empty(), resources.unwritten.is_empty()];
                    resources.copies.insert(number, copy);
                    resources.unwritten.insert(number, (words, history));
                    before
                });
                let [first, idle] = before.unwrap_or_default();
                if first {
                    spawn_local(storage::persist());
                }
                if idle {
                    spawn_local(self.write_copies());
                }
            }
            Effect::SaveHistory(number, history) => spawn_local(async move {
                // What cannot be kept was said of the copy.
                let _ = storage::write_history(number, &history).await;
            }),
            Effect::DeleteSavedRun(number) => {
                self.resources.update_value(|resources| drop(resources.copies.remove(&number)));
                spawn_local(storage::delete_run(number));
            }
            Effect::SaveDataset(n) => {
                let files = self.resources.with_value(|resources| resources.data.get(n).cloned()).unwrap_or_default();
                let [file] = &files[..] else { return };
                let file = file.clone();
                spawn_local(async move {
                    match storage::write_dataset(&file).await {
                        Ok(()) => self.send(Msg::DatasetStored(file.name(), n)),
                        Err(why) => {
                            self.notify(format!("{} is used but not kept for the next visit: {why}.", file.name()));
                        }
                    }
                });
            }
            Effect::DeleteDataset(name) => spawn_local(async move { storage::delete_dataset(&name).await }),
            Effect::ResumeSavedRun(number, batch) => spawn_local(async move {
                if let Ok(history) = storage::read_history(number).await {
                    self.send(Msg::HistoryLoaded(number, history));
                }
                let bytes = self.copy(number).await;
                let command = Command::ResumeRun { name: "the copy".into(), bytes: Vec::new(), batch };
                self.send_bytes(true, ErrorScope::Training, command, bytes);
            }),
            Effect::ResumeRunFile(n) => spawn_local(async move {
                let (name, bytes) = self.read_upload(n).await;
                let command = Command::ResumeRun { name, bytes: Vec::new(), batch: 0 };
                self.send_bytes(true, ErrorScope::Training, command, bytes);
            }),
            Effect::LoadRunModel(number) => spawn_local(async move {
                let bytes = self.copy(number).await;
                let command = Command::LoadModel { slot: Slot::Run, name: "the run".into(), bytes: Vec::new() };
                self.send_bytes(true, ErrorScope::Model, command, bytes);
            }),
            Effect::LoadDataset(n) => {
                let files = self.resources.with_value(|resources| resources.data.get(n).cloned()).unwrap_or_default();
                let (name, beside) = match &files[..] {
                    [file] => (file.name(), file.into()),
                    files => {
                        // Structured cloning forgets a file's path.
                        let path = |file: &File| Reflect::get(file, &"webkitRelativePath".into()).unwrap_or_default();
                        let name = files.first().and_then(|file| path(file).as_string()).unwrap_or_default();
                        let name = name.split('/').next().unwrap_or_default().to_owned();
                        (name, files.iter().map(|file| Array::of2(&path(file), file)).collect::<Array>().into())
                    }
                };
                self.send_command(&Command::LoadDataset { name }, beside);
            }
            Effect::LoadModelBytes(name, bytes) => {
                let file = files::blob(&name, &bytes).ok().and_then(|b| files::file(&name, &Array::of1(&b)).ok());
                self.open_files(file.into_iter().collect());
            }
            Effect::StartAttackTimer(pause) => {
                let timeout = Timeout::new(pause, move || self.send(Msg::AttackTimerFired));
                self.resources.update_value(|resources| resources.attack_timer = Some(timeout));
            }
        }
    }

    async fn read_upload(self, n: usize) -> (String, Result<ArrayBuffer, String>) {
        match self.resources.with_value(|resources| resources.files.get(n).cloned()) {
            Some(file) => (file.name(), files::read(&file).await),
            None => (String::new(), Err("The file is gone.".into())),
        }
    }

    fn send_bytes(self, wanted: bool, subject: ErrorScope, command: Command, bytes: Result<ArrayBuffer, String>) {
        match bytes {
            _ if !wanted => {}
            Ok(bytes) => self.send_command(&command, bytes.into()),
            Err(text) => self.send(Msg::ReadFailed(subject, text)),
        }
    }

    fn send_command(self, command: &Command, beside: JsValue) {
        self.resources.with_value(|resources| {
            if let Some(client) = &resources.current {
                client.send(command, beside);
            }
        });
    }

    /// Writes the copies that are not written yet, one after another.
    async fn write_copies(self) {
        let next = || self.resources.with_value(|resources| resources.unwritten.keys().next().copied());
        while let Some(number) = next() {
            let copy = self.resources.with_value(|resources| {
                resources.copies.get(&number).cloned().zip(resources.unwritten.get(&number).cloned())
            });
            if let Some((copy, (words, history))) = &copy
                && let Err(why) = storage::write_run(number, words, history, copy).await
                && self
                    .resources
                    .try_update_value(|resources| !std::mem::replace(&mut resources.storage_failure_reported, true))
                    == Some(true)
            {
                self.notify(format!("The run is not kept for the next visit: {why}. Save it before you leave."));
            }
            // Unless a newer copy has come meanwhile.
            self.resources.update_value(|resources| {
                if resources.copies.get(&number) == copy.as_ref().map(|(copy, _)| copy) {
                    resources.unwritten.remove(&number);
                }
            });
        }
    }

    /// The last copy of a run.
    async fn copy(self, number: u64) -> Result<ArrayBuffer, String> {
        match self.resources.with_value(|resources| resources.copies.get(&number).cloned()) {
            Some(copy) => files::read(&copy).await,
            None => files::read(&*storage::read_run(number).await?).await,
        }
    }
}
