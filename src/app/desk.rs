//! The state in the browser, and what is held for it: workers, the user's files, copies of runs. `carry` does what it decides.

use std::collections::BTreeMap;

use gloo::timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, File};

use super::{
    address, browser,
    dropped::{self, Address},
    kept,
    message::{FileKind, Msg, UserAction},
    state::State,
    wishes::TrainingAction,
    worker_client::WorkerClient,
};

/// Bytes of the largest file that is read whole: a WideResNet-34-10 has 185 MB, and WebAssembly's memory ends at 4 GB.
const LARGEST: f64 = 500e6;

/// Milliseconds between two copies of a run.
const KEEP_EVERY: u32 = 20_000;

/// Bytes at a file's start that tell what it is: where a fixture's list of arrays fits.
const START: i32 = 1 << 18;

/// The state, and who carries out what it decides. Handed to every view.
#[derive(Clone, Copy)]
pub struct AppContext {
    pub state: RwSignal<State>,
    /// How many images are being fetched from addresses.
    pub fetching: RwSignal<usize>,
    pub(super) resources: StoredValue<BrowserResources, LocalStorage>,
}

/// What is held of the browser.
#[derive(Default)]
pub(super) struct BrowserResources {
    pub(super) current: Option<WorkerClient>,
    pub(super) coming: Option<WorkerClient>,
    /// The user's files, by the number that the state knows them by.
    pub(super) files: Vec<File>,
    /// The data sets that they brought or had kept: an archive, or the files of a folder.
    pub(super) data: Vec<Vec<File>>,
    /// The last copy of each run, by its number.
    pub(super) copies: BTreeMap<u64, Blob>,
    /// The numbers of those that are still to be written, with what to say of them and their courses.
    pub(super) unwritten: BTreeMap<u64, (String, Vec<u8>)>,
    /// The user knows that none can be written: once is enough.
    pub(super) told_unkept: bool,
    pub(super) pause: Option<Timeout>,
}

impl AppContext {
    /// Begins with what the address says.
    pub fn open() -> Self {
        let (state, first) = State::new(&browser::hash());
        let resources = StoredValue::new_local(BrowserResources::default());
        let ctx = Self { state: RwSignal::new(state), fetching: RwSignal::new(0), resources };
        first.into_iter().for_each(|task| ctx.run_effect(task));
        spawn_local(async move { ctx.send(Msg::Adapter(browser::adapter().await)) });
        if browser::is_weak() {
            ctx.send(Msg::LowEndDevice);
        }
        spawn_local(ctx.find_saved_items());
        let keep = move || ctx.dispatch(UserAction::Train(TrainingAction::SaveCopy));
        Interval::new(KEEP_EVERY, keep).forget();
        window_event_listener_untyped("visibilitychange", move |_| {
            if browser::document().hidden() {
                keep();
            }
        });
        ctx
    }

    pub fn dispatch(self, intent: UserAction) {
        self.send(Msg::User(intent));
    }

    /// Says what could not be done.
    pub fn notify(self, text: String) {
        self.send(Msg::Notify(text));
    }

    /// Takes files that the user brought: all images are kept and the last is shown; a model is put to use.
    pub fn open_files(self, files: Vec<File>) {
        spawn_local(async move {
            let mut last = None;
            for file in files {
                match self.keep(file).await {
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
    async fn keep(self, file: File) -> Result<Option<(usize, FileKind)>, String> {
        let name = file.name();
        let start = file.slice_with_i32_and_i32(0, START).map_err(|_| format!("{name} cannot be read."))?;
        let start = js_sys::Uint8Array::new(&browser::read(&start).await?.into()).to_vec();
        if dropped::is_archive(&start) {
            self.notify(format!("{name} is read as images to learn from: see “Train one yourself”."));
            self.open_dataset(vec![file]);
            return Ok(None);
        }
        let sort = dropped::sort(&name, &start);
        let n = self.keep_file(file)?;
        if sort == FileKind::Image {
            self.dispatch(UserAction::AddUpload(n, name));
        }
        Ok(Some((n, sort)))
    }

    /// Keeps a file that is read whole, and gives its number.
    fn keep_file(self, file: File) -> Result<usize, String> {
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
        self.dispatch(UserAction::Train(TrainingAction::UseDataset(self.keep_data(files))));
    }

    fn keep_data(self, files: Vec<File>) -> usize {
        let kept = self.resources.try_update_value(|resources| {
            resources.data.push(files);
            resources.data.len() - 1
        });
        kept.unwrap_or_default()
    }

    /// Takes the file of a run, to go on with.
    pub fn open_run(self, file: File) {
        match self.keep_file(file) {
            Ok(n) => self.dispatch(UserAction::Train(TrainingAction::ResumeFile(n, js_sys::Date::now() as u64))),
            Err(text) => self.notify(text),
        }
    }

    /// Finds what earlier visits have left.
    async fn find_saved_items(self) {
        let (runs, data) = kept::earlier().await;
        let data = data.into_iter().map(|file| (file.name(), self.keep_data(vec![file]))).collect();
        self.send(Msg::SavedItemsFound(runs, data));
    }

    /// Brings the first image that is to be had from one of the addresses.
    pub fn fetch(self, addresses: Vec<Address>) {
        spawn_local(async move {
            self.fetching.update(|n| *n += 1);
            let mut problem = None;
            for address in &addresses {
                match address::read(address).await {
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
            .with_value(|resources| resources.files.get(n).map(|file| browser::address_of(file)).unwrap_or_default())
    }

    pub(super) fn send(self, input: Msg) {
        let tasks = self.state.try_update(|state| state.apply(input)).unwrap_or_default();
        tasks.into_iter().for_each(|task| self.run_effect(task));
    }
}
