//! All that the page knows, as a fold: [`State::apply`] takes what happened and says what to do about it. No browser in
//! here, so it is tested natively.

use super::{
    explore::Explored,
    frame::Frame,
    link::{Link, Shipped, Wish, World},
    message::{Input, Kind, Source, Task},
    own::Own,
    saved::Saved,
    sides::Sides,
    training::Training,
    views::sentence,
    workers::Backend,
};
use crate::{
    config::{AttackConfig, Settings, TrainConfig},
    evaluate::Report,
    protocol::{AttackResult, Command, ModelInfo, PictureInfo, Slot, Trace},
    verify,
};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Phase {
    #[default]
    Idle,
    /// Settings have changed; the attack starts in a moment.
    Soon,
    Running {
        done: usize,
        total: usize,
    },
    Done {
        steps: usize,
        milliseconds: f64,
        stopped: bool,
    },
}

/// The attack on the picture in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attack {
    /// The number of the last one asked for.
    pub id: u64,
    pub phase: Phase,
    /// Its settings and target when it began.
    pub config: AttackConfig,
    pub target: Option<usize>,
    pub result: Option<AttackResult>,
    /// Which stop of its way is in view; none: its outcome.
    pub rewound: Option<usize>,
    /// The way of each of its attacks.
    pub traces: Vec<Trace>,
    /// Why not to trust it.
    pub flags: Vec<String>,
    /// What the other models make of the attacked picture, as probabilities; once the attack is over.
    pub transfer: Vec<(Slot, Vec<f32>)>,
}

/// The same attack on many pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Many {
    pub id: u64,
    pub config: AttackConfig,
    /// What they are taken from.
    pub set: String,
    pub running: bool,
    pub stopped: bool,
    pub report: Option<Report>,
}

/// How this browser's arithmetic compares with PyTorch's.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The n-th file that the visitor brought.
    pub(super) file: usize,
    /// Empty until it is done.
    pub groups: Vec<verify::Check>,
    pub milliseconds: f64,
}

/// Something the visitor should know, until they dismiss it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: usize,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub link: Link,
    pub backend: Backend,
    /// The model in focus.
    pub model: Option<ModelInfo>,
    pub picture: Option<PictureInfo>,
    /// Which square of its file the picture is, if it is a square of one.
    pub frame: Option<Frame>,
    /// The visitor's pictures, in the order in which they came.
    pub tray: Vec<Own>,
    /// Probabilities of the clean picture; empty until it is classified.
    pub clean: Vec<f32>,
    pub attack: Attack,
    /// The other models.
    pub sides: Sides,
    /// What is known for the views.
    pub explored: Explored,
    pub saved: Option<Saved>,
    /// None until it is asked for.
    pub many: Option<Many>,
    pub training: Training,
    pub check: Option<Check>,
    pub notices: Vec<Notice>,
    /// What is in use; and what was asked for last, which is on its way if it differs.
    pub model_in_use: Option<Source<Shipped>>,
    pub model_wanted: Option<Source<Shipped>>,
    /// The last model file of the visitor's that was taken, and the last picture.
    pub own_model: Option<usize>,
    pub(super) own_picture: Option<usize>,
    /// What to go back to if nothing of the world that was entered can be had: the model, the shipped one of its world, and
    /// the sample.
    pub(super) left: Option<(Source<Shipped>, Shipped, u64)>,
    pub picture_in_use: Option<Source<u64>>,
    pub picture_wanted: Option<Source<u64>>,
    noticed: usize,
    /// Something long took the worker from the attack on the picture, which is made anew after it.
    pub(super) displaced: bool,
    /// The number of the last attack or evaluation.
    pub(super) last_id: u64,
}

impl State {
    /// The page as it opens, and what to do first: the CPU is there at once; a GPU may take over later.
    pub fn new(hash: &str) -> (Self, Vec<Task>) {
        let (link, problems) = Link::parse(hash);
        let mut state = Self {
            model_wanted: Some(Source::Ours(link.model)),
            picture_wanted: Some(Source::Ours(link.sample)),
            link,
            ..Self::default()
        };
        problems.into_iter().for_each(|p| state.notice(p));
        let first = if state.link.backend == Wish::Gpu { Kind::Gpu } else { Kind::Cpu };
        let tasks = state.start(first);
        (state, tasks)
    }

    pub fn hash(&self) -> String {
        self.hash_of(&self.link)
    }

    /// The address of what is in view, without the tour that led there.
    pub fn hash_without_tour(&self) -> String {
        self.hash_of(&Link { tour: None, ..self.link.clone() })
    }

    fn hash_of(&self, link: &Link) -> String {
        let own_model = matches!(self.model_in_use, Some(Source::Own(_)));
        link.hash(own_model, matches!(self.picture_in_use, Some(Source::Own(_))))
    }

    /// Whether an attack runs or is about to.
    pub fn busy(&self) -> bool {
        matches!(self.attack.phase, Phase::Soon | Phase::Running { .. })
    }

    pub fn apply(&mut self, input: Input) -> Vec<Task> {
        match input {
            Input::Worker(kind, event) if self.backend.coming == Some(kind) => self.hear_coming(kind, event),
            Input::Worker(kind, event) => self.hear_current(kind, event),
            Input::Crashed(kind, why) => self.crashed(kind, &why),
            Input::Late(kind) => self.late(kind),
            Input::Adapter(adapter) => {
                self.backend.adapter = Some(adapter);
                self.prefer_gpu()
            }
            Input::Weak => {
                // Unless the address asks for something else.
                if self.link.train == TrainConfig::demo() {
                    self.link.train = TrainConfig::small();
                }
                Vec::new()
            }
            Input::Unreadable(subject, text) => self.refused(subject, text),
            Input::Told(text) => {
                self.notice(text);
                Vec::new()
            }
            Input::Earlier(runs, data) => {
                (self.training.earlier, self.training.earlier_data) = (runs, data);
                Vec::new()
            }
            Input::Remembered(number, bytes) => {
                self.training.remember(number, &bytes);
                Vec::new()
            }
            Input::KeptData(name, file) => {
                self.training.earlier_data.retain(|(kept, _)| *kept != name);
                self.training.earlier_data.push((name, file));
                Vec::new()
            }
            Input::Due => self.begin(),
            Input::Visitor(intent) => self.intend(intent),
        }
    }

    /// A problem as the worker words it becomes a sentence, unless it begins with the name of a file or a setting.
    pub(super) fn notice(&mut self, text: String) {
        let first = text.split(' ').next().unwrap_or_default();
        let text = if first.chars().all(char::is_alphabetic) { sentence(&text) } else { text };
        let text = if text.ends_with(['.', '!', '?']) { text } else { text + "." };
        self.notices.retain(|n| n.text != text);
        self.noticed += 1;
        self.notices.push(Notice { id: self.noticed, text });
    }

    /// Something long takes the worker from the attack on the picture, if there is one, whose outcome is then unknown.
    pub(super) fn displace(&mut self) -> bool {
        let busy = self.busy();
        if busy {
            self.forget_attack();
            self.attack.phase = Phase::Idle;
            self.displaced = true;
        }
        busy
    }

    /// What took the worker from the attack on the picture is over.
    pub(super) fn attack_again(&mut self) -> Vec<Task> {
        let over = self.busy() || matches!(self.attack.phase, Phase::Done { stopped: false, .. });
        if std::mem::take(&mut self.displaced) && !over { self.soon(0) } else { self.go_on() }
    }

    /// The worker that attacked many pictures is gone.
    pub(super) fn cut_short(&mut self) {
        if let Some(many) = self.many.as_mut().filter(|many| many.running) {
            (many.running, many.stopped) = (false, true);
        }
    }

    pub(super) fn forget_attack(&mut self) {
        self.attack.result = None;
        self.attack.rewound = None;
        self.saved = None;
        self.attack.traces.clear();
        self.attack.flags.clear();
        self.attack.transfer.clear();
    }

    pub(super) fn load_model(&self) -> Vec<Task> {
        let ready = self.backend.current.is_some();
        self.model_wanted.filter(|_| ready).map(Task::LoadModel).into_iter().collect()
    }

    /// What the views of this world's models need, if the worker does not have it in itself.
    pub(super) fn load_reference(&self) -> Vec<Task> {
        let wanted = self.link.model.world == World::Photos && self.backend.current.is_some();
        wanted.then_some(Task::LoadReference).into_iter().collect()
    }

    pub(super) fn load_picture(&self) -> Vec<Task> {
        let load = |source| match source {
            Source::Ours(index) if self.link.model.world == World::Photos => Task::LoadPhoto(index),
            Source::Ours(index) => Task::Send(Command::LoadSample { index }),
            Source::Own(file) => Task::LoadPicture(file),
        };
        let ready = self.backend.current.is_some();
        self.picture_wanted.filter(|_| ready).map(load).into_iter().collect()
    }

    /// Checks the worker in use against the fixture, if there is one.
    pub(super) fn load_check(&mut self) -> Vec<Task> {
        let ready = self.backend.current.is_some();
        let load = |check: &mut Check| {
            check.groups.clear();
            Task::Verify(check.file)
        };
        self.check.as_mut().filter(|_| ready).map(load).into_iter().collect()
    }

    /// Attacks in a moment, if there is something to attack.
    pub(super) fn soon(&mut self, pause: u32) -> Vec<Task> {
        if self.clean.is_empty() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.attack.phase = Phase::Soon;
        vec![Task::Schedule(pause)]
    }

    fn begin(&mut self) -> Vec<Task> {
        if self.attack.phase != Phase::Soon || self.backend.current.is_none() {
            return Vec::new();
        }
        let Some(slot) = self.slot() else {
            self.attack.phase = Phase::Idle;
            return Vec::new();
        };
        self.settle();
        self.stop_asking();
        self.last_id += 1;
        self.attack.id = self.last_id;
        self.attack.config = self.link.attack.clone();
        self.attack.target = self.link.target;
        self.attack.flags.clear();
        self.attack.rewound = None;
        self.saved = None;
        self.attack.phase = Phase::Running { done: 0, total: 0 };
        let settings = owned(&self.attack.config);
        vec![Task::Send(Command::Attack { id: self.attack.id, slot, settings, target: self.attack.target })]
    }
}

/// Settings as they travel.
pub(super) fn owned(config: &AttackConfig) -> Vec<(String, String)> {
    config.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
