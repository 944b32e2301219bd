//! What the state decides, done: workers are told, files fetched and read, copies written.

use gloo::timers::callback::Timeout;
use js_sys::{Array, ArrayBuffer, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

use super::{
    browser,
    desk::Desk,
    kept,
    link::World,
    message::{Input, Source, Task},
    photos::PHOTOS,
    state::State,
    worker_client::{Client, Report},
};
use crate::protocol::{Command, Slot, Subject};

/// Where the page's own models lie.
pub const MODELS: &str = "public/models";
/// And its photos.
const PHOTO_FILES: &str = "public/photos";

impl Desk {
    pub(super) fn carry_out(self, task: Task) {
        match task {
            Task::Start(kind) => {
                let report = move |report| match report {
                    Report::Event(event) => self.apply(Input::Worker(kind, event)),
                    // Not at once: the worker's own handler is running, and it is about to be dropped.
                    Report::Crashed(why) => spawn_local(async move { self.apply(Input::Crashed(kind, why)) }),
                    Report::Late => spawn_local(async move { self.apply(Input::Late(kind)) }),
                };
                let threads = self.state.with_untracked(|s| !s.backend.cpu_crashed);
                match Client::start(kind, threads, report) {
                    Ok(client) => {
                        client.send(&Command::Open, JsValue::UNDEFINED);
                        self.hands.update_value(|hands| hands.coming = Some(client));
                    }
                    Err(why) => self.apply(Input::Crashed(kind, why)),
                }
            }
            Task::Promote => {
                let old = self.hands.try_update_value(|hands| {
                    let coming = hands.coming.take();
                    std::mem::replace(&mut hands.current, coming)
                });
                drop(old);
            }
            Task::End => self.hands.update_value(|hands| hands.current = None),
            Task::Discard => self.hands.update_value(|hands| hands.coming = None),
            Task::Send(command) => self.send(&command, JsValue::UNDEFINED),
            Task::LoadModel(source) => spawn_local(async move {
                let (name, bytes) = match source {
                    Source::Ours(model) => (model.file(), browser::fetch(&format!("{MODELS}/{}", model.file())).await),
                    Source::Own(n) => self.read_own(n).await,
                };
                let wanted = self.state.with_untracked(|s| [s.model_wanted, s.sides.fetching].contains(&Some(source)));
                let command = Command::LoadModel { slot: source.slot(), name, bytes: Vec::new() };
                self.hand_over(wanted, Subject::Model, command, bytes);
            }),
            Task::LoadPicture(n) => spawn_local(async move {
                let (name, bytes) = self.read_own(n).await;
                let wanted = self.state.with_untracked(|s| s.picture_wanted) == Some(Source::Own(n));
                self.hand_over(
                    wanted,
                    Subject::Picture,
                    Command::LoadPicture { name, label: None, bytes: Vec::new() },
                    bytes,
                );
            }),
            Task::LoadPhoto(index) => spawn_local(async move {
                let Some(photo) = PHOTOS.get(index as usize) else { return };
                let bytes = browser::fetch(&format!("{PHOTO_FILES}/{}.jpg", photo.file)).await;
                let asked = |s: &State| (s.picture_wanted, s.link.model.world);
                let wanted = self.state.with_untracked(asked) == (Some(Source::Ours(index)), World::Photos);
                let command = Command::LoadPicture {
                    name: photo.caption(),
                    label: Some(photo.class().into()),
                    bytes: Vec::new(),
                };
                self.hand_over(wanted, Subject::Picture, command, bytes);
            }),
            Task::LoadReference => spawn_local(async move {
                let bytes = browser::fetch(&format!("{PHOTO_FILES}/reference.png")).await;
                self.hand_over(true, Subject::Reference, Command::LoadReference { bytes: Vec::new() }, bytes);
            }),
            Task::Verify(n) => spawn_local(async move {
                let (_, bytes) = self.read_own(n).await;
                self.hand_over(true, Subject::Fixture, Command::Verify { bytes: Vec::new() }, bytes);
            }),
            Task::Download(name, bytes) => browser::download_bytes(&name, &bytes),
            Task::Keep { number, words, history, bytes } => {
                let Ok(copy) = browser::blob("", &bytes) else { return };
                let before = self.hands.try_update_value(|hands| {
                    let before = [hands.copies.is_empty(), hands.unwritten.is_empty()];
                    hands.copies.insert(number, copy);
                    hands.unwritten.insert(number, (words, history));
                    before
                });
                let [first, idle] = before.unwrap_or_default();
                if first {
                    spawn_local(kept::persist());
                }
                if idle {
                    spawn_local(self.write_copies());
                }
            }
            Task::Remember(number, history) => spawn_local(async move {
                // What cannot be kept was said of the copy.
                let _ = kept::keep_history(number, &history).await;
            }),
            Task::Forget(number) => {
                self.hands.update_value(|hands| drop(hands.copies.remove(&number)));
                spawn_local(kept::forget_run(number));
            }
            Task::KeepData(n) => {
                let files = self.hands.with_value(|hands| hands.data.get(n).cloned()).unwrap_or_default();
                let [file] = &files[..] else { return };
                let file = file.clone();
                spawn_local(async move {
                    match kept::keep_data(&file).await {
                        Ok(()) => self.apply(Input::KeptData(file.name(), n)),
                        Err(why) => {
                            self.say(format!("{} is used but not kept for the next visit: {why}.", file.name()));
                        }
                    }
                });
            }
            Task::ForgetData(name) => spawn_local(async move { kept::forget_data(&name).await }),
            Task::TakeUp(number, batch) => spawn_local(async move {
                if let Ok(history) = kept::read_history(number).await {
                    self.apply(Input::Remembered(number, history));
                }
                let bytes = self.copy(number).await;
                let command = Command::Resume { name: "the copy".into(), bytes: Vec::new(), batch };
                self.hand_over(true, Subject::Training, command, bytes);
            }),
            Task::Resume(n) => spawn_local(async move {
                let (name, bytes) = self.read_own(n).await;
                let command = Command::Resume { name, bytes: Vec::new(), batch: 0 };
                self.hand_over(true, Subject::Training, command, bytes);
            }),
            Task::LoadRun(number) => spawn_local(async move {
                let bytes = self.copy(number).await;
                let command = Command::LoadModel { slot: Slot::Run, name: "the run".into(), bytes: Vec::new() };
                self.hand_over(true, Subject::Model, command, bytes);
            }),
            Task::LoadData(n) => {
                let files = self.hands.with_value(|hands| hands.data.get(n).cloned()).unwrap_or_default();
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
                self.send(&Command::LoadData { name }, beside);
            }
            Task::Try(name, bytes) => {
                let file = browser::blob(&name, &bytes).ok().and_then(|b| browser::file(&name, &Array::of1(&b)).ok());
                self.bring(file.into_iter().collect());
            }
            Task::Schedule(pause) => {
                let timeout = Timeout::new(pause, move || self.apply(Input::Due));
                self.hands.update_value(|hands| hands.pause = Some(timeout));
            }
        }
    }

    async fn read_own(self, n: usize) -> (String, Result<ArrayBuffer, String>) {
        match self.hands.with_value(|hands| hands.files.get(n).cloned()) {
            Some(file) => (file.name(), browser::read(&file).await),
            None => (String::new(), Err("The file is gone.".into())),
        }
    }

    fn hand_over(self, wanted: bool, subject: Subject, command: Command, bytes: Result<ArrayBuffer, String>) {
        match bytes {
            _ if !wanted => {}
            Ok(bytes) => self.send(&command, bytes.into()),
            Err(text) => self.apply(Input::Unreadable(subject, text)),
        }
    }

    fn send(self, command: &Command, beside: JsValue) {
        self.hands.with_value(|hands| {
            if let Some(client) = &hands.current {
                client.send(command, beside);
            }
        });
    }

    /// Writes the copies that are not written yet, one after another.
    async fn write_copies(self) {
        let next = || self.hands.with_value(|hands| hands.unwritten.keys().next().copied());
        while let Some(number) = next() {
            let copy = self
                .hands
                .with_value(|hands| hands.copies.get(&number).cloned().zip(hands.unwritten.get(&number).cloned()));
            if let Some((copy, (words, history))) = &copy
                && let Err(why) = kept::keep_run(number, words, history, copy).await
                && self.hands.try_update_value(|hands| !std::mem::replace(&mut hands.told_unkept, true)) == Some(true)
            {
                self.say(format!("The run is not kept for the next visit: {why}. Save it before you leave."));
            }
            // Unless a newer copy has come meanwhile.
            self.hands.update_value(|hands| {
                if hands.copies.get(&number) == copy.as_ref().map(|(copy, _)| copy) {
                    hands.unwritten.remove(&number);
                }
            });
        }
    }

    /// The last copy of a run.
    async fn copy(self, number: u64) -> Result<ArrayBuffer, String> {
        match self.hands.with_value(|hands| hands.copies.get(&number).cloned()) {
            Some(copy) => browser::read(&copy).await,
            None => browser::read(&*kept::read_run(number).await?).await,
        }
    }
}
