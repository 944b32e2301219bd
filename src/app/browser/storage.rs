//! Storage in the browser's private file system (OPFS): copies of runs, so that a crash or a reload loses nothing, and data
//! sets that the user opened. The files stay on this machine, and the user can delete them.

use js_sys::{AsyncIterator, IteratorNext};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemWritableFileStream, StorageEstimate,
};

use crate::app::{
    browser::{dom, files},
    domain::saved_run::SavedRun,
};

/// Copies of runs that are offered; older ones are deleted.
const RUNS: usize = 5;

const RUN: &str = "run-";

const WORDS: &str = ".txt";

const ARRAYS: &str = ".safetensors";

const HISTORY: &str = ".history";

const DATA: &str = "data-";

/// What earlier visits have left: runs, the latest first, and data sets.
pub async fn list() -> (Vec<SavedRun>, Vec<File>) {
    let names = names().await.unwrap_or_default();
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_prefix(RUN)?.strip_suffix(WORDS)?.parse().ok()).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut runs = Vec::new();
    for (i, number) in numbers.into_iter().enumerate() {
        if i >= RUNS {
            delete_run(number).await;
        } else if let Ok(file) = read(&format!("{RUN}{number}{WORDS}")).await {
            let words = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
            runs.push(SavedRun { number, words: words.unwrap_or_default() });
        }
    }
    let mut data = Vec::new();
    for name in names.iter().filter_map(|name| name.strip_prefix(DATA)) {
        if let Ok(file) = read(&format!("{DATA}{name}")).await
            && let Ok(file) = files::file(name, &js_sys::Array::of1(&file))
        {
            data.push(file);
        }
    }
    (runs, data)
}

/// Asks the browser not to clear away what is kept when it runs short of room.
pub async fn persist() {
    if let Ok(asked) = storage().persist() {
        // Whatever it says, there is nothing more to do.
        let _ = JsFuture::from(asked).await;
    }
}

/// Keeps a copy of a run, what to say of it, and its course.
pub async fn write_run(number: u64, words: &str, history: &[u8], copy: &Blob) -> Result<(), String> {
    write(&format!("{RUN}{number}{ARRAYS}"), copy).await?;
    write_history(number, history).await?;
    let words = Blob::new_with_str_sequence(&js_sys::Array::of1(&words.into()));
    write(&format!("{RUN}{number}{WORDS}"), &words.map_err(|_| "no memory".to_owned())?).await
}

pub async fn read_run(number: u64) -> Result<File, String> {
    read(&format!("{RUN}{number}{ARRAYS}")).await
}

/// Keeps the course of a run beside its copy.
pub async fn write_history(number: u64, history: &[u8]) -> Result<(), String> {
    let history = files::blob("", history).map_err(|_| "no memory".to_owned())?;
    write(&format!("{RUN}{number}{HISTORY}"), &history).await
}

pub async fn read_history(number: u64) -> Result<Vec<u8>, String> {
    let history = read(&format!("{RUN}{number}{HISTORY}")).await?;
    Ok(js_sys::Uint8Array::new(&files::read(&history).await?.into()).to_vec())
}

pub async fn delete_run(number: u64) {
    for ending in [WORDS, ARRAYS, HISTORY] {
        forget(&format!("{RUN}{number}{ending}")).await;
    }
}

/// Keeps a data set for the next visit.
pub async fn write_dataset(file: &File) -> Result<(), String> {
    write(&format!("{DATA}{}", file.name()), file).await
}

pub async fn delete_dataset(name: &str) {
    forget(&format!("{DATA}{name}")).await;
}

fn storage() -> web_sys::StorageManager {
    dom::window().navigator().storage()
}

async fn directory() -> Result<FileSystemDirectoryHandle, JsValue> {
    // Not everywhere: private windows of some browsers have none.
    if storage().is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    Ok(JsFuture::from(storage().get_directory()).await?.unchecked_into())
}

async fn names() -> Result<Vec<String>, JsValue> {
    let keys: AsyncIterator = directory().await?.keys();
    let mut names = Vec::new();
    loop {
        let next: IteratorNext = JsFuture::from(keys.next()?).await?.unchecked_into();
        if next.done() {
            return Ok(names);
        }
        names.extend(next.value().as_string());
    }
}

async fn read(name: &str) -> Result<File, String> {
    let file = async {
        let handle: FileSystemFileHandle =
            JsFuture::from(directory().await?.get_file_handle(name)).await?.unchecked_into();
        JsFuture::from(handle.get_file()).await
    };
    file.await.map(JsCast::unchecked_into).map_err(|_: JsValue| format!("{name} is not in this browser's storage."))
}

/// Writes all of a file or nothing: its place is taken when it is complete.
async fn write(name: &str, content: &Blob) -> Result<(), String> {
    let room = async {
        let estimate: StorageEstimate = JsFuture::from(storage().estimate()?).await?.unchecked_into();
        Ok::<_, JsValue>(estimate.get_quota().zip(estimate.get_usage()).map(|(quota, usage)| quota - usage))
    };
    if let Ok(Some(room)) = room.await
        && room < content.size()
    {
        return Err(format!(
            "it has {:.1} MB and only {:.1} MB are left to this page",
            content.size() / 1e6,
            room.max(0.0) / 1e6
        ));
    }
    let written = async {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let handle = directory().await?.get_file_handle_with_options(name, &options);
        let handle: FileSystemFileHandle = JsFuture::from(handle).await?.unchecked_into();
        // Not in every browser: calling what is not there would end this task for good.
        if !js_sys::Reflect::has(&handle, &"createWritable".into())? {
            return Err(JsValue::UNDEFINED);
        }
        let into: FileSystemWritableFileStream = JsFuture::from(handle.create_writable()).await?.unchecked_into();
        // In pieces, however large it is; closes the file at the end.
        JsFuture::from(content.stream().pipe_to(&into)).await
    };
    written
        .await
        .map(|_| ())
        .map_err(|_| "this browser lets the page keep nothing (an old one, or a private window?)".to_owned())
}

async fn forget(name: &str) {
    if let Ok(directory) = directory().await {
        // What is not there need not be deleted.
        let _ = JsFuture::from(directory.remove_entry(name)).await;
    }
}
