//! Opens files, data sets and URLs that the user gives.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

use crate::app::{
    browser::{files, remote_image, storage},
    domain::{
        action::{Msg, TrainingAction, UserAction},
        file_kind::{self, FileKind},
        image_url::ImageUrl,
    },
    runtime::context::AppContext,
};

/// Bytes of the largest file that is read whole: a WideResNet-34-10 has 185 MB, and WebAssembly's memory ends at 4 GB.
const LARGEST: f64 = 500e6;

/// Bytes at a file's start that tell what it is: where a fixture's list of arrays fits.
const START: i32 = 1 << 18;

impl AppContext {
    /// Takes files that the user brought: all images are kept and the last is shown; a model is put to use.
    pub fn open_files(self, files: Vec<File>) {
        spawn_local(async move {
            let mut last = None;
            for file in files {
                match self.store_upload(file).await {
                    Ok(None) => {}
                    Ok(Some((n, FileKind::Image))) => last = Some(n),
                    Ok(Some((n, sort))) => self.dispatch(UserAction::OpenFile(n, sort)),
                    Err(text) => self.notify(text),
                }
            }
            if let Some(n) = last {
                self.dispatch(UserAction::OpenFile(n, FileKind::Image));
            }
        });
    }

    /// Keeps a file and gives its number and kind; an archive goes to training instead.
    pub(crate) async fn store_upload(self, file: File) -> Result<Option<(usize, FileKind)>, String> {
        let name = file.name();
        let start = file.slice_with_i32_and_i32(0, START).map_err(|_| format!("{name} cannot be read."))?;
        let start = js_sys::Uint8Array::new(&files::read(&start).await?.into()).to_vec();
        if file_kind::is_archive(&start) {
            self.notify(format!("{name} is read as images to learn from: see “Train one yourself”."));
            self.open_dataset(vec![file]);
            return Ok(None);
        }
        let sort = file_kind::detect(&name, &start);
        let n = self.store_file(file)?;
        if sort == FileKind::Image {
            self.dispatch(UserAction::AddUpload(n, name));
        }
        Ok(Some((n, sort)))
    }

    /// Keeps a file that is read whole, and gives its number.
    fn store_file(self, file: File) -> Result<usize, String> {
        if file.size() > LARGEST {
            return Err(format!("{} is larger than {} MB, too large for this page.", file.name(), LARGEST / 1e6));
        }
        let kept = self.resources.try_update_value(|resources| {
            resources.files.push(file);
            resources.files.len() - 1
        });
        Ok(kept.unwrap_or_default())
    }

    /// Takes data to train on: an archive, or all files of a folder. They are read in pieces, however large they are.
    pub fn open_dataset(self, files: Vec<File>) {
        if files.is_empty() {
            return;
        }
        self.dispatch(UserAction::Train(TrainingAction::UseDataset(self.store_dataset(files))));
    }

    fn store_dataset(self, files: Vec<File>) -> usize {
        let kept = self.resources.try_update_value(|resources| {
            resources.data.push(files);
            resources.data.len() - 1
        });
        kept.unwrap_or_default()
    }

    /// Takes the file of a run, to go on with.
    pub fn open_run(self, file: File) {
        match self.store_file(file) {
            Ok(n) => self.dispatch(UserAction::Train(TrainingAction::ResumeFile(n, js_sys::Date::now() as u64))),
            Err(text) => self.notify(text),
        }
    }

    /// Finds what earlier visits have left.
    pub(crate) async fn find_saved_items(self) {
        let (runs, data) = storage::list().await;
        let data = data.into_iter().map(|file| (file.name(), self.store_dataset(vec![file]))).collect();
        self.send(Msg::SavedItemsFound(runs, data));
    }

    /// Brings the first image that is to be had from one of the addresses.
    pub fn fetch_image(self, addresses: Vec<ImageUrl>) {
        spawn_local(async move {
            self.fetching.update(|n| *n += 1);
            let mut problem = None;
            for address in &addresses {
                match remote_image::fetch(address).await {
                    Ok(file) => {
                        problem = None;
                        self.open_files(vec![file]);
                        break;
                    }
                    Err(text) => problem = Some(text),
                }
            }
            self.fetching.update(|n| *n -= 1);
            problem.into_iter().for_each(|text| self.notify(text));
        });
    }

    /// An address under which the page can show the n-th file.
    pub fn object_url(self, n: usize) -> String {
        self.resources
            .with_value(|resources| resources.files.get(n).map(|file| files::object_url(file)).unwrap_or_default())
    }
}
