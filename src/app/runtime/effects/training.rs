//! Stores runs and data sets, and sends them to the current worker.

use js_sys::{Array, ArrayBuffer, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, File};

use crate::{
    app::{
        browser::{files, storage},
        domain::{action::Msg, effect::RunCopy},
        runtime::context::{AppContext, UnwrittenCopy},
    },
    protocol::{Command, ErrorScope, Slot},
};

impl AppContext {
    /// Keeps a copy of a run in memory and writes it to the storage.
    pub(super) fn save_run(self, copy: RunCopy) {
        let RunCopy { number, description, history, bytes } = copy;
        let Ok(blob) = files::blob("", &bytes) else { return };
        let (mut is_first, mut is_writing) = (false, false);
        self.resources.update_value(|resources| {
            is_first = resources.copies.is_empty();
            is_writing = !resources.unwritten.is_empty();
            resources.copies.insert(number, blob);
            resources.unwritten.insert(number, UnwrittenCopy { description, history });
        });
        if is_first {
            spawn_local(storage::persist());
        }
        if !is_writing {
            spawn_local(self.write_copies());
        }
    }

    /// Writes copies to the storage, one after another, until all are written.
    async fn write_copies(self) {
        while let Some(number) = self.resources.with_value(|resources| resources.unwritten.keys().next().copied()) {
            let copy = self.resources.with_value(|resources| {
                let blob = resources.copies.get(&number)?.clone();
                let UnwrittenCopy { description, history } = resources.unwritten.get(&number)?.clone();
                Some((blob, description, history))
            });
            if let Some((blob, description, history)) = &copy
                && let Err(reason) = storage::write_run(number, description, history, blob).await
            {
                self.report_storage_failure(&reason);
            }
            let written: Option<&Blob> = copy.as_ref().map(|(blob, ..)| blob);
            // A newer copy may have replaced this one while it was written.
            self.resources.update_value(|resources| {
                if resources.copies.get(&number) == written {
                    resources.unwritten.remove(&number);
                }
            });
        }
    }

    /// Notifies the user once that copies cannot be stored.
    fn report_storage_failure(self, reason: &str) {
        let was_reported = self
            .resources
            .try_update_value(|resources| std::mem::replace(&mut resources.storage_failure_reported, true));
        if was_reported == Some(false) {
            self.notify(format!(
                "The run cannot be stored in this browser: {reason}. Save it to a file before you leave."
            ));
        }
    }

    pub(super) fn save_history(self, number: u64, history: Vec<u8>) {
        spawn_local(async move {
            // The user is notified of failures when the copy is stored.
            let _ = storage::write_history(number, &history).await;
        });
    }

    pub(super) fn delete_saved_run(self, number: u64) {
        self.resources.update_value(|resources| drop(resources.copies.remove(&number)));
        spawn_local(storage::delete_run(number));
    }

    pub(super) fn save_dataset(self, number: usize) {
        let files = self.dataset_files(number);
        let [file] = &files[..] else { return };
        let file = file.clone();
        spawn_local(async move {
            match storage::write_dataset(&file).await {
                Ok(()) => self.send(Msg::DatasetStored(file.name(), number)),
                Err(reason) => {
                    self.notify(format!(
                        "{} can be used now but is not stored in this browser: {reason}.",
                        file.name()
                    ));
                }
            }
        });
    }

    pub(super) fn delete_dataset(self, name: String) {
        spawn_local(async move { storage::delete_dataset(&name).await });
    }

    pub(super) fn resume_saved_run(self, number: u64, max_batch: usize) {
        spawn_local(async move {
            if let Ok(history) = storage::read_history(number).await {
                self.send(Msg::HistoryLoaded(number, history));
            }
            let content = self.read_copy(number).await;
            let command = Command::ResumeRun { name: "the stored run".into(), bytes: Vec::new(), batch: max_batch };
            self.send_file(ErrorScope::Training, &command, content);
        });
    }

    pub(super) fn resume_run_file(self, file: usize) {
        spawn_local(async move {
            let (name, content) = self.read_file(file).await;
            let command = Command::ResumeRun { name, bytes: Vec::new(), batch: 0 };
            self.send_file(ErrorScope::Training, &command, content);
        });
    }

    pub(super) fn load_run_model(self, number: u64) {
        spawn_local(async move {
            let content = self.read_copy(number).await;
            let command = Command::LoadModel { slot: Slot::Run, name: "the run".into(), bytes: Vec::new() };
            self.send_file(ErrorScope::Model, &command, content);
        });
    }

    pub(super) fn load_dataset(self, number: usize) {
        let files = self.dataset_files(number);
        let (name, attachment) = match &files[..] {
            [file] => (file.name(), file.into()),
            files => folder_attachment(files),
        };
        self.send_command(&Command::LoadDataset { name }, attachment);
    }

    fn dataset_files(self, number: usize) -> Vec<File> {
        self.resources.with_value(|resources| resources.datasets.get(number).cloned()).unwrap_or_default()
    }

    /// The last copy of a run, from memory or from the storage.
    async fn read_copy(self, number: u64) -> Result<ArrayBuffer, String> {
        match self.resources.with_value(|resources| resources.copies.get(&number).cloned()) {
            Some(copy) => files::read(&copy).await,
            None => files::read(&*storage::read_run(number).await?).await,
        }
    }
}

/// The name of a folder, and pairs of path and file. Structured cloning would lose the paths.
fn folder_attachment(files: &[File]) -> (String, JsValue) {
    let path = |file: &File| Reflect::get(file, &"webkitRelativePath".into()).unwrap_or_default();
    let first = files.first().and_then(|file| path(file).as_string()).unwrap_or_default();
    let name = first.split('/').next().unwrap_or_default().to_owned();
    let pairs: Array = files.iter().map(|file| Array::of2(&path(file), file)).collect();
    (name, pairs.into())
}
