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

/// Milliseconds between two stored copies of a run.
const AUTO_SAVE_INTERVAL: u32 = 20_000;

/// The state, and the browser resources that effects need.
#[derive(Clone, Copy)]
pub struct AppContext {
    /// The state. Only [`send`](Self::send) changes it.
    pub state: RwSignal<State>,
    /// Number of images that are being fetched from URLs.
    pub fetching: RwSignal<usize>,
    pub(crate) resources: StoredValue<BrowserResources, LocalStorage>,
}

/// Handles of the browser, which the state cannot contain.
#[derive(Default)]
pub(crate) struct BrowserResources {
    /// The current worker.
    pub(crate) current: Option<WorkerClient>,
    /// The worker that is starting.
    pub(crate) starting: Option<WorkerClient>,
    /// The opened files. Their indices are the file numbers in the state.
    pub(crate) files: Vec<File>,
    /// The opened data sets: an archive, or the files of a folder. Their indices are the file numbers in the state.
    pub(crate) datasets: Vec<Vec<File>>,
    /// The last copy of each run, by the number of the run.
    pub(crate) copies: BTreeMap<u64, Blob>,
    /// The copies that are not written to the storage yet, by the number of the run.
    pub(crate) unwritten: BTreeMap<u64, UnwrittenCopy>,
    /// Whether the user was notified that copies cannot be stored.
    pub(crate) storage_failure_reported: bool,
    /// The timer of the scheduled attack.
    pub(crate) attack_timer: Option<Timeout>,
}

/// What is stored beside the copy of a run.
#[derive(Clone)]
pub(crate) struct UnwrittenCopy {
    pub(crate) description: String,
    pub(crate) history: Vec<u8>,
}

impl AppContext {
    /// Creates the state from the URL hash and starts the worker.
    pub fn open() -> Self {
        let (state, effects) = State::new(&dom::hash());
        let resources = StoredValue::new_local(BrowserResources::default());
        let ctx = Self { state: RwSignal::new(state), fetching: RwSignal::new(0), resources };
        for effect in effects {
            ctx.run_effect(effect);
        }
        spawn_local(async move { ctx.send(Msg::Adapter(gpu::adapter().await)) });
        if dom::is_low_end_device() {
            ctx.send(Msg::LowEndDevice);
        }
        spawn_local(ctx.find_saved_items());
        ctx.start_auto_save();
        ctx
    }

    /// Stores a copy of the run at intervals, and when the user leaves the page.
    fn start_auto_save(self) {
        let save = move || self.dispatch(UserAction::Train(TrainingAction::SaveCopy));
        Interval::new(AUTO_SAVE_INTERVAL, save).forget();
        window_event_listener_untyped("visibilitychange", move |_| {
            if dom::document().hidden() {
                save();
            }
        });
    }

    /// Handles an action of the user.
    pub fn dispatch(self, action: UserAction) {
        self.send(Msg::User(action));
    }

    /// Shows a notice to the user.
    pub fn notify(self, text: String) {
        self.send(Msg::Notify(text));
    }

    /// Applies a message to the state and runs the effects.
    pub(crate) fn send(self, msg: Msg) {
        let effects = self.state.try_update(|state| state.apply(msg)).unwrap_or_default();
        for effect in effects {
            self.run_effect(effect);
        }
    }
}
