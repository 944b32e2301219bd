//! Application context: the state signal and browser resources. Every component gets it from the Leptos context.

use std::collections::BTreeMap;

use gloo::timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, File};

use crate::app::{
    browser::{dom, gpu, worker_client::WorkerClient},
    domain::action::{Msg, TrainingAction, UserAction},
    state::State,
};

/// Milliseconds between two copies of a run.
const KEEP_EVERY: u32 = 20_000;

/// The state, and who carries out what it decides. Handed to every view.
#[derive(Clone, Copy)]
pub struct AppContext {
    pub state: RwSignal<State>,
    /// How many images are being fetched from addresses.
    pub fetching: RwSignal<usize>,
    pub(crate) resources: StoredValue<BrowserResources, LocalStorage>,
}

/// What is held of the browser.
#[derive(Default)]
pub(crate) struct BrowserResources {
    pub(crate) current: Option<WorkerClient>,
    pub(crate) starting: Option<WorkerClient>,
    /// The user's files, by the number that the state knows them by.
    pub(crate) files: Vec<File>,
    /// The data sets that they brought or had kept: an archive, or the files of a folder.
    pub(crate) data: Vec<Vec<File>>,
    /// The last copy of each run, by its number.
    pub(crate) copies: BTreeMap<u64, Blob>,
    /// The numbers of those that are still to be written, with what to say of them and their courses.
    pub(crate) unwritten: BTreeMap<u64, (String, Vec<u8>)>,
    /// The user knows that none can be written: once is enough.
    pub(crate) storage_failure_reported: bool,
    pub(crate) attack_timer: Option<Timeout>,
}

impl AppContext {
    /// Begins with what the address says.
    pub fn open() -> Self {
        let (state, first) = State::new(&dom::hash());
        let resources = StoredValue::new_local(BrowserResources::default());
        let ctx = Self { state: RwSignal::new(state), fetching: RwSignal::new(0), resources };
        first.into_iter().for_each(|task| ctx.run_effect(task));
        spawn_local(async move { ctx.send(Msg::Adapter(gpu::adapter().await)) });
        if dom::is_weak() {
            ctx.send(Msg::LowEndDevice);
        }
        spawn_local(ctx.find_saved_items());
        let keep = move || ctx.dispatch(UserAction::Train(TrainingAction::SaveCopy));
        Interval::new(KEEP_EVERY, keep).forget();
        window_event_listener_untyped("visibilitychange", move |_| {
            if dom::document().hidden() {
                keep();
            }
        });
        ctx
    }

    pub fn dispatch(self, action: UserAction) {
        self.send(Msg::User(action));
    }

    /// Says what could not be done.
    pub fn notify(self, text: String) {
        self.send(Msg::Notify(text));
    }

    pub(crate) fn send(self, input: Msg) {
        let tasks = self.state.try_update(|state| state.apply(input)).unwrap_or_default();
        tasks.into_iter().for_each(|task| self.run_effect(task));
    }
}
