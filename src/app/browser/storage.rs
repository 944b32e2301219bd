//! Storage in the browser's private file system (OPFS): copies of runs, so that a crash or a reload loses nothing, and data
//! sets that the user opened. The files stay on this machine, and the user can delete them.

use js_sys::{Array, AsyncIterator, IteratorNext, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemWritableFileStream, StorageEstimate, StorageManager,
};

use crate::app::{
    browser::{dom, files},
    domain::saved_run::SavedRun,
};

/// Number of runs that are stored. Older ones are deleted.
const MAX_RUNS: usize = 5;

/// Prefix of the files of a run. The number of the run follows, and then one of the endings.
const RUN_PREFIX: &str = "run-";

/// Ending of the description of a run, which is written last.
const DESCRIPTION: &str = ".txt";

/// Ending of the checkpoint of a run.
const CHECKPOINT: &str = ".safetensors";

/// Ending of the history of a run.
const HISTORY: &str = ".history";

/// Prefix of a data set. The file name follows.
const DATASET_PREFIX: &str = "data-";

const OUT_OF_MEMORY: &str = "there is not enough memory";

fn run_file(number: u64, ending: &str) -> String {
    format!("{RUN_PREFIX}{number}{ending}")
}

/// The stored runs, the latest first, and the stored data sets.
pub async fn list() -> (Vec<SavedRun>, Vec<File>) {
    let names = names().await.unwrap_or_default();
    (list_runs(&names).await, list_datasets(&names).await)
}

/// The stored runs. Deletes those that exceed the maximum number.
async fn list_runs(names: &[String]) -> Vec<SavedRun> {
    let number = |name: &String| name.strip_prefix(RUN_PREFIX)?.strip_suffix(DESCRIPTION)?.parse().ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut runs = Vec::new();
    for (i, number) in numbers.into_iter().enumerate() {
        if i >= MAX_RUNS {
            delete_run(number).await;
        } else if let Ok(file) = read(&run_file(number, DESCRIPTION)).await {
            let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
            runs.push(SavedRun { number, description: text.unwrap_or_default() });
        }
    }
    runs
}

async fn list_datasets(names: &[String]) -> Vec<File> {
    let mut datasets = Vec::new();
    for name in names.iter().filter_map(|name| name.strip_prefix(DATASET_PREFIX)) {
        if let Ok(file) = read(&format!("{DATASET_PREFIX}{name}")).await
            && let Ok(file) = files::file(name, &Array::of1(&file))
        {
            datasets.push(file);
        }
    }
    datasets
}

/// Asks the browser not to delete the files when it runs out of space.
pub async fn persist() {
    if let Ok(request) = storage().persist() {
        // The files are stored whatever the answer is.
        let _ = JsFuture::from(request).await;
    }
}

/// Stores a copy of a run with its history and description.
///
/// # Errors
/// Returns the reason, which completes a sentence.
pub async fn write_run(number: u64, description: &str, history: &[u8], copy: &Blob) -> Result<(), String> {
    write(&run_file(number, CHECKPOINT), copy).await?;
    write_history(number, history).await?;
    let description = Blob::new_with_str_sequence(&Array::of1(&description.into()));
    write(&run_file(number, DESCRIPTION), &description.map_err(|_| OUT_OF_MEMORY)?).await
}

/// Reads the checkpoint of a run.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn read_run(number: u64) -> Result<File, String> {
    read(&run_file(number, CHECKPOINT)).await
}

/// Stores the history of a run.
///
/// # Errors
/// Returns the reason, which completes a sentence.
pub async fn write_history(number: u64, history: &[u8]) -> Result<(), String> {
    let history = files::blob("", history).map_err(|_| OUT_OF_MEMORY)?;
    write(&run_file(number, HISTORY), &history).await
}

/// Reads the history of a run.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn read_history(number: u64) -> Result<Vec<u8>, String> {
    let history = read(&run_file(number, HISTORY)).await?;
    Ok(Uint8Array::new(&files::read(&history).await?.into()).to_vec())
}

/// Deletes all files of a run.
pub async fn delete_run(number: u64) {
    for ending in [DESCRIPTION, CHECKPOINT, HISTORY] {
        delete(&run_file(number, ending)).await;
    }
}

/// Stores a data set.
///
/// # Errors
/// Returns the reason, which completes a sentence.
pub async fn write_dataset(file: &File) -> Result<(), String> {
    write(&format!("{DATASET_PREFIX}{}", file.name()), file).await
}

/// Deletes a data set, by name.
pub async fn delete_dataset(name: &str) {
    delete(&format!("{DATASET_PREFIX}{name}")).await;
}

fn storage() -> StorageManager {
    dom::window().navigator().storage()
}

async fn directory() -> Result<FileSystemDirectoryHandle, JsValue> {
    // Some browsers have no storage in private windows.
    if storage().is_undefined() {
        return Err(JsValue::UNDEFINED);
    }
    Ok(JsFuture::from(storage().get_directory()).await?.unchecked_into())
}

/// The names of all stored files.
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
        let handle = JsFuture::from(directory().await?.get_file_handle(name)).await?;
        let handle: FileSystemFileHandle = handle.unchecked_into();
        JsFuture::from(handle.get_file()).await
    };
    file.await.map(JsCast::unchecked_into).map_err(|_: JsValue| format!("{name} is not in this browser's storage."))
}

/// Writes a file completely or not at all: it appears when the stream is closed.
async fn write(name: &str, content: &Blob) -> Result<(), String> {
    if let Ok(Some(free)) = free_space().await
        && free < content.size()
    {
        let (size, free) = (content.size() / 1e6, free.max(0.0) / 1e6);
        return Err(format!("it has {size:.1} MB, but this page has only {free:.1} MB left"));
    }
    match write_stream(name, content).await {
        Ok(()) => Ok(()),
        Err(_) => {
            Err("this browser does not let the page store files (an old browser, or a private window?)".to_owned())
        }
    }
}

/// The free space of the page in bytes; `None` if it is unknown.
async fn free_space() -> Result<Option<f64>, JsValue> {
    let estimate: StorageEstimate = JsFuture::from(storage().estimate()?).await?.unchecked_into();
    Ok(estimate.get_quota().zip(estimate.get_usage()).map(|(quota, usage)| quota - usage))
}

async fn write_stream(name: &str, content: &Blob) -> Result<(), JsValue> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(true);
    let handle = directory().await?.get_file_handle_with_options(name, &options);
    let handle: FileSystemFileHandle = JsFuture::from(handle).await?.unchecked_into();
    // Some browsers lack this method. Calling it there would abort the task.
    if !Reflect::has(&handle, &"createWritable".into())? {
        return Err(JsValue::UNDEFINED);
    }
    let stream: FileSystemWritableFileStream = JsFuture::from(handle.create_writable()).await?.unchecked_into();
    // Copies in pieces, and closes the file at the end.
    JsFuture::from(content.stream().pipe_to(&stream)).await?;
    Ok(())
}

async fn delete(name: &str) {
    if let Ok(directory) = directory().await {
        // Fails if there is no such file.
        let _ = JsFuture::from(directory.remove_entry(name)).await;
    }
}
