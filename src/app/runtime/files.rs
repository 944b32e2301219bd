//! Opens files, data sets and URLs that the user gives.

use js_sys::Uint8Array;
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

/// Maximum size in bytes of a file that is read as a whole. A WideResNet-34-10 has 185 MB; the memory of WebAssembly is
/// limited to 4 GB.
const MAX_FILE_SIZE: f64 = 500e6;

/// Number of bytes that are read to detect the kind of a file. The list of tensors of a fixture fits into them.
const START_LENGTH: i32 = 1 << 18;

impl AppContext {
    /// Opens files: images are added to the uploads and the last one is shown; a model is loaded.
    pub fn open_files(self, files: Vec<File>) {
        spawn_local(async move {
            let mut last_image = None;
            for file in files {
                match self.open_file(file).await {
                    Ok(None) => {}
                    Ok(Some((number, FileKind::Image))) => last_image = Some(number),
                    Ok(Some((number, kind))) => self.dispatch(UserAction::OpenFile(number, kind)),
                    Err(message) => self.notify(message),
                }
            }
            if let Some(number) = last_image {
                self.dispatch(UserAction::OpenFile(number, FileKind::Image));
            }
        });
    }

    /// Stores a file and returns its number and kind. An archive is opened as a data set instead.
    async fn open_file(self, file: File) -> Result<Option<(usize, FileKind)>, String> {
        let name = file.name();
        let start = file.slice_with_i32_and_i32(0, START_LENGTH).map_err(|_| format!("{name} could not be read."))?;
        let start = Uint8Array::new(&files::read(&start).await?.into()).to_vec();
        if file_kind::is_archive(&start) {
            self.notify(format!("{name} is opened as a data set: see “Train a model”."));
            self.open_dataset(vec![file]);
            return Ok(None);
        }
        let kind = file_kind::detect(&name, &start);
        let number = self.add_file(file)?;
        if kind == FileKind::Image {
            self.dispatch(UserAction::AddUpload(number, name));
        }
        Ok(Some((number, kind)))
    }

    /// Adds an opened file and returns its number.
    fn add_file(self, file: File) -> Result<usize, String> {
        if file.size() > MAX_FILE_SIZE {
            let megabytes = MAX_FILE_SIZE / 1e6;
            return Err(format!("{} is larger than {megabytes} MB, the maximum of this page.", file.name()));
        }
        let number = self.resources.try_update_value(|resources| {
            resources.files.push(file);
            resources.files.len() - 1
        });
        Ok(number.unwrap_or_default())
    }

    /// Opens a data set: an archive, or all files of a folder. The worker reads them in pieces, so their size is not limited.
    pub fn open_dataset(self, files: Vec<File>) {
        if !files.is_empty() {
            let number = self.add_dataset(files);
            self.dispatch(UserAction::Train(TrainingAction::UseDataset(number)));
        }
    }

    /// Adds an opened data set and returns its number.
    fn add_dataset(self, files: Vec<File>) -> usize {
        let number = self.resources.try_update_value(|resources| {
            resources.datasets.push(files);
            resources.datasets.len() - 1
        });
        number.unwrap_or_default()
    }

    /// Resumes a run from a file.
    pub fn open_run(self, file: File) {
        match self.add_file(file) {
            Ok(file) => {
                let number = js_sys::Date::now() as u64;
                self.dispatch(UserAction::Train(TrainingAction::ResumeFile(file, number)));
            }
            Err(message) => self.notify(message),
        }
    }

    /// Finds the items in the browser's storage.
    pub(crate) async fn find_saved_items(self) {
        let (runs, files) = storage::list().await;
        let datasets = files.into_iter().map(|file| (file.name(), self.add_dataset(vec![file]))).collect();
        self.send(Msg::SavedItemsFound(runs, datasets));
    }

    /// Opens the image of the first URL that can be fetched.
    pub fn fetch_image(self, urls: Vec<ImageUrl>) {
        spawn_local(async move {
            self.fetching.update(|count| *count += 1);
            let result = fetch_first(&urls).await;
            self.fetching.update(|count| *count -= 1);
            match result {
                Ok(Some(file)) => self.open_files(vec![file]),
                Ok(None) => {}
                Err(message) => self.notify(message),
            }
        });
    }

    /// A URL under which the page can show an opened file.
    pub fn object_url(self, number: usize) -> String {
        self.resources.with_value(|resources| match resources.files.get(number) {
            Some(file) => files::object_url(file),
            None => String::new(),
        })
    }
}

/// Fetches the image of the first URL that can be fetched; `None` if there are no URLs.
async fn fetch_first(urls: &[ImageUrl]) -> Result<Option<File>, String> {
    let mut result = Ok(None);
    for url in urls {
        match remote_image::fetch(url).await {
            Ok(file) => return Ok(Some(file)),
            Err(message) => result = Err(message),
        }
    }
    result
}
