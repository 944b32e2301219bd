//! The reducers: [`State::apply`] takes a message, changes the state and returns the effects to run. There is no browser
//! code here, so that all of it is tested natively.

pub mod attack;
pub mod backend;
pub mod comparison;
pub mod explorer;
pub mod export;
pub mod images;
pub mod loading;
pub mod navigation;
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
            format::sentence,
            source::Source,
        },
        state::{State, notice::Notice, permalink::Permalink},
    },
    train::TrainConfig,
};

impl State {
    /// The page as it opens, and what to do first: the CPU is there at once; a GPU may take over later.
    pub fn new(hash: &str) -> (Self, Vec<Effect>) {
        let (link, problems) = Permalink::parse(hash);
        let mut state = Self {
            model_wanted: Some(Source::Builtin(link.model)),
            image_wanted: Some(Source::Builtin(link.sample)),
            permalink: link,
            ..Self::default()
        };
        problems.into_iter().for_each(|p| state.notice(p));
        let first = if state.permalink.backend == BackendPreference::Gpu { BackendKind::Gpu } else { BackendKind::Cpu };
        let tasks = state.start_worker(first);
        (state, tasks)
    }

    pub fn apply(&mut self, input: Msg) -> Vec<Effect> {
        match input {
            Msg::Worker(kind, event) if self.backend.starting == Some(kind) => {
                self.on_starting_worker_event(kind, event)
            }
            Msg::Worker(kind, event) => self.on_worker_event(kind, event),
            Msg::Crashed(kind, why) => self.on_worker_crashed(kind, &why),
            Msg::ThreadsNotStarted(kind) => self.on_threads_not_started(kind),
            Msg::Adapter(adapter) => {
                self.backend.adapter = Some(adapter);
                self.prefer_gpu()
            }
            Msg::LowEndDevice => {
                // Unless the address asks for something else.
                if self.permalink.train == TrainConfig::demo() {
                    self.permalink.train = TrainConfig::small();
                }
                Vec::new()
            }
            Msg::ReadFailed(subject, text) => self.on_command_failed(subject, text),
            Msg::Notify(text) => {
                self.notice(text);
                Vec::new()
            }
            Msg::SavedItemsFound(runs, data) => {
                (self.training.saved_runs, self.training.saved_datasets) = (runs, data);
                Vec::new()
            }
            Msg::HistoryLoaded(number, bytes) => {
                self.training.set_loaded_history(number, &bytes);
                Vec::new()
            }
            Msg::DatasetStored(name, file) => {
                self.training.saved_datasets.retain(|(kept, _)| *kept != name);
                self.training.saved_datasets.push((name, file));
                Vec::new()
            }
            Msg::AttackTimerFired => self.start_attack(),
            Msg::User(action) => self.on_user_action(action),
        }
    }

    /// A problem as the worker words it becomes a sentence, unless it begins with the name of a file or a setting.
    pub(crate) fn notice(&mut self, text: String) {
        let first = text.split(' ').next().unwrap_or_default();
        let text = if first.chars().all(char::is_alphabetic) { sentence(&text) } else { text };
        let text = if text.ends_with(['.', '!', '?']) { text } else { text + "." };
        self.notices.retain(|n| n.text != text);
        self.last_notice_id += 1;
        self.notices.push(Notice { id: self.last_notice_id, text });
    }
}
