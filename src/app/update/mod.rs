//! The reducers: [`State::apply`] takes a message, changes the state and returns the effects to run. There is no browser
//! code here, so that all of it is tested natively.

pub mod attack;
pub mod backend;
pub mod batch;
pub mod comparison;
pub mod explorer;
pub mod export;
pub mod images;
pub mod loading;
pub mod navigation;
pub mod notices;
pub mod rewind;
pub mod scheduler;
pub mod training;
pub mod user_action;
pub mod worker_event;

use crate::{
    app::{
        domain::{
            action::Msg,
            backend::{BackendKind, BackendPreference},
            effect::Effect,
            source::Source,
        },
        state::{State, permalink::Permalink},
    },
    train::TrainConfig,
};

impl State {
    /// The initial state for a URL hash, and the first effects. The CPU worker starts first, because it is the smaller
    /// download. WebGPU may replace it later.
    pub fn new(hash: &str) -> (Self, Vec<Effect>) {
        let (permalink, problems) = Permalink::parse(hash);
        let mut state = Self {
            requested_model: Some(Source::Builtin(permalink.model)),
            requested_image: Some(Source::Builtin(permalink.sample)),
            permalink,
            ..Self::default()
        };
        for problem in problems {
            state.notify(problem);
        }
        let prefers_gpu = state.permalink.backend == BackendPreference::Gpu;
        let effects = state.start_worker(if prefers_gpu { BackendKind::Gpu } else { BackendKind::Cpu });
        (state, effects)
    }

    /// Handles a message: changes the state and returns the effects to run, in order.
    pub fn apply(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Worker(kind, event) if self.backend.starting == Some(kind) => {
                return self.on_starting_worker_event(kind, event);
            }
            Msg::Worker(kind, event) => return self.on_worker_event(kind, event),
            Msg::Crashed(kind, reason) => return self.on_worker_crashed(kind, &reason),
            Msg::ThreadsNotStarted(kind) => return self.on_threads_not_started(kind),
            Msg::Adapter(adapter) => {
                self.backend.adapter = Some(adapter);
                return self.prefer_gpu();
            }
            Msg::LowEndDevice => {
                // Settings from the URL take precedence.
                if self.permalink.train == TrainConfig::demo() {
                    self.permalink.train = TrainConfig::small();
                }
            }
            Msg::ReadFailed(scope, message) => return self.on_command_failed(scope, message),
            Msg::Notify(text) => self.notify(text),
            Msg::SavedItemsFound(runs, datasets) => {
                (self.training.saved_runs, self.training.saved_datasets) = (runs, datasets);
            }
            Msg::HistoryLoaded(number, bytes) => self.training.set_loaded_history(number, &bytes),
            Msg::DatasetStored(name, file) => {
                self.training.saved_datasets.retain(|(saved, _)| *saved != name);
                self.training.saved_datasets.push((name, file));
            }
            Msg::AttackTimerFired => return self.start_attack(),
            Msg::User(action) => return self.on_user_action(action),
        }
        Vec::new()
    }

    /// A new id for an attack, an evaluation, a probe or a training command.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
