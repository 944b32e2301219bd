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
    message::{Input, Sort, UserAction},
    state::State,
    wishes::Wish as Training,
    worker_client::Client,
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
    pub(super) hands: StoredValue<BrowserResources, LocalStorage>,
}

/// What is held of the browser.
#[derive(Default)]
pub(super) struct BrowserResources {
    pub(super) current: Option<Client>,
    pub(super) coming: Option<Client>,
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
        let hands = StoredValue::new_local(BrowserResources::default());
        let desk = Self { state: RwSignal::new(state), fetching: RwSignal::new(0), hands };
        first.into_iter().for_each(|task| desk.carry_out(task));
        spawn_local(async move { desk.apply(Input::Adapter(browser::adapter().await)) });
        if browser::is_weak() {
            desk.apply(Input::Weak);
        }
        spawn_local(desk.find_earlier());
        let keep = move || desk.tell(UserAction::Train(Training::Keep));
        Interval::new(KEEP_EVERY, keep).forget();
        window_event_listener_untyped("visibilitychange", move |_| {
            if browser::document().hidden() {
                keep();
            }
        });
        desk
    }

    pub fn tell(self, intent: UserAction) {
        self.apply(Input::User(intent));
    }

    /// Says what could not be done.
    pub fn say(self, text: String) {
        self.apply(Input::Told(text));
    }

    /// Takes files that the user brought: all images are kept and the last is shown; a model is put to use.
    pub fn bring(self, files: Vec<File>) {
        spawn_local(async move {
            let mut last = None;
            for file in files {
                match self.keep(file).await {
                    Ok(None) => {}
                    Ok(Some((n, Sort::Image))) => last = Some(n),
                    Ok(Some((n, sort))) => self.tell(UserAction::File(n, sort)),
                    Err(text) => self.say(text),
                }
            }
            if let Some(n) = last {
                self.tell(UserAction::File(n, Sort::Image));
            }
        });
    }

    /// Keeps a file and gives its number and kind; an archive goes to training instead.
    async fn keep(self, file: File) -> Result<Option<(usize, Sort)>, String> {
        let name = file.name();
        let start = file.slice_with_i32_and_i32(0, START).map_err(|_| format!("{name} cannot be read."))?;
        let start = js_sys::Uint8Array::new(&browser::read(&start).await?.into()).to_vec();
        if dropped::is_archive(&start) {
            self.say(format!("{name} is read as images to learn from: see “Train one yourself”."));
            self.bring_data(vec![file]);
            return Ok(None);
        }
        let sort = dropped::sort(&name, &start);
        let n = self.keep_file(file)?;
        if sort == Sort::Image {
            self.tell(UserAction::Keep(n, name));
        }
        Ok(Some((n, sort)))
    }

    /// Keeps a file that is read whole, and gives its number.
    fn keep_file(self, file: File) -> Result<usize, String> {
        if file.size() > LARGEST {
            return Err(format!("{} is larger than {} MB, too large for this page.", file.name(), LARGEST / 1e6));
        }
        let kept = self.hands.try_update_value(|hands| {
            hands.files.push(file);
            hands.files.len() - 1
        });
        Ok(kept.unwrap_or_default())
    }

    /// Takes data to train on: an archive, or all files of a folder. They are read in pieces, however large they are.
    pub fn bring_data(self, files: Vec<File>) {
        if files.is_empty() {
            return;
        }
        self.tell(UserAction::Train(Training::Data(self.keep_data(files))));
    }

    fn keep_data(self, files: Vec<File>) -> usize {
        let kept = self.hands.try_update_value(|hands| {
            hands.data.push(files);
            hands.data.len() - 1
        });
        kept.unwrap_or_default()
    }

    /// Takes the file of a run, to go on with.
    pub fn bring_run(self, file: File) {
        match self.keep_file(file) {
            Ok(n) => self.tell(UserAction::Train(Training::Resume(n, js_sys::Date::now() as u64))),
            Err(text) => self.say(text),
        }
    }

    /// Finds what earlier visits have left.
    async fn find_earlier(self) {
        let (runs, data) = kept::earlier().await;
        let data = data.into_iter().map(|file| (file.name(), self.keep_data(vec![file]))).collect();
        self.apply(Input::Earlier(runs, data));
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
                        self.bring(vec![file]);
                        break;
                    }
                    Err(text) => problem = Some(text),
                }
            }
            self.fetching.update(|n| *n -= 1);
            problem.into_iter().for_each(|text| self.say(text));
        });
    }

    /// An address under which the page can show the n-th file.
    pub fn shown(self, n: usize) -> String {
        self.hands.with_value(|hands| hands.files.get(n).map(|file| browser::address_of(file)).unwrap_or_default())
    }

    pub(super) fn apply(self, input: Input) {
        let tasks = self.state.try_update(|state| state.apply(input)).unwrap_or_default();
        tasks.into_iter().for_each(|task| self.carry_out(task));
    }
}
