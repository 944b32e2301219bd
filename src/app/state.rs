//! All that the page knows, as a fold: [`State::apply`] takes what happened and says what to do about it. No browser in
//! here, so it is tested natively.

use super::{
    explore::ExplorerCache,
    frame::CropState,
    link::{BackendPreference, BuiltinModel, ImageDomain, Permalink},
    message::{BackendKind, Effect, Msg, Source},
    own::UserImage,
    saved::SavedImage,
    sides::Comparison,
    training::Training,
    views::sentence,
    workers::Backend,
};
use crate::{
    attack::AttackConfig,
    evaluate::Report,
    protocol::{AttackResult, Command, ImageInfo, ModelInfo, Slot, Trace},
    settings::Settings,
    train::TrainConfig,
    verify,
};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AttackPhase {
    #[default]
    Idle,
    /// Settings have changed; the attack starts in a moment.
    Scheduled,
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

/// The attack on the image in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attack {
    /// The number of the last one asked for.
    pub id: u64,
    pub phase: AttackPhase,
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
    /// What the other models make of the adversarial image, as probabilities; once the attack is over.
    pub transfer: Vec<(Slot, Vec<f32>)>,
}

/// The same attack on many images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchAttack {
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
pub struct BackendCheck {
    /// The n-th file that the user brought.
    pub(super) file: usize,
    /// Empty until it is done.
    pub groups: Vec<verify::GroupCheck>,
    pub milliseconds: f64,
}

/// Something the user should know, until they dismiss it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: usize,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub link: Permalink,
    pub backend: Backend,
    /// The model in focus.
    pub model: Option<ModelInfo>,
    pub image: Option<ImageInfo>,
    /// Which square of its file the image is, if it is a square of one.
    pub frame: Option<CropState>,
    /// The user's images, in the order in which they came.
    pub uploads: Vec<UserImage>,
    /// Probabilities of the clean image; empty until it is classified.
    pub clean: Vec<f32>,
    pub attack: Attack,
    /// The other models.
    pub sides: Comparison,
    /// What is known for the views.
    pub explored: ExplorerCache,
    pub saved: Option<SavedImage>,
    /// None until it is asked for.
    pub many: Option<BatchAttack>,
    pub training: Training,
    pub check: Option<BackendCheck>,
    pub notices: Vec<Notice>,
    /// What is in use; and what was asked for last, which is on its way if it differs.
    pub model_in_use: Option<Source<BuiltinModel>>,
    pub model_wanted: Option<Source<BuiltinModel>>,
    /// The last model file of the user's that was taken, and the last image.
    pub own_model: Option<usize>,
    pub(super) own_image: Option<usize>,
    /// What to go back to if nothing of the world that was entered can be had: the model, the shipped one of its world, and
    /// the sample.
    pub(super) left: Option<(Source<BuiltinModel>, BuiltinModel, u64)>,
    pub image_in_use: Option<Source<u64>>,
    pub image_wanted: Option<Source<u64>>,
    noticed: usize,
    /// Something long took the worker from the attack on the image, which is made anew after it.
    pub(super) attack_preempted: bool,
    /// The number of the last attack or evaluation.
    pub(super) last_id: u64,
}

impl State {
    /// The page as it opens, and what to do first: the CPU is there at once; a GPU may take over later.
    pub fn new(hash: &str) -> (Self, Vec<Effect>) {
        let (link, problems) = Permalink::parse(hash);
        let mut state = Self {
            model_wanted: Some(Source::Builtin(link.model)),
            image_wanted: Some(Source::Builtin(link.sample)),
            link,
            ..Self::default()
        };
        problems.into_iter().for_each(|p| state.notice(p));
        let first = if state.link.backend == BackendPreference::Gpu { BackendKind::Gpu } else { BackendKind::Cpu };
        let tasks = state.start(first);
        (state, tasks)
    }

    pub fn hash(&self) -> String {
        self.hash_of(&self.link)
    }

    /// The address of what is in view, without the tour that led there.
    pub fn hash_without_tour(&self) -> String {
        self.hash_of(&Permalink { tour: None, ..self.link.clone() })
    }

    fn hash_of(&self, link: &Permalink) -> String {
        let own_model = matches!(self.model_in_use, Some(Source::Uploaded(_)));
        link.hash(own_model, matches!(self.image_in_use, Some(Source::Uploaded(_))))
    }

    /// Whether an attack runs or is about to.
    pub fn busy(&self) -> bool {
        matches!(self.attack.phase, AttackPhase::Scheduled | AttackPhase::Running { .. })
    }

    pub fn apply(&mut self, input: Msg) -> Vec<Effect> {
        match input {
            Msg::Worker(kind, event) if self.backend.coming == Some(kind) => self.on_starting_worker_event(kind, event),
            Msg::Worker(kind, event) => self.on_worker_event(kind, event),
            Msg::Crashed(kind, why) => self.on_worker_crashed(kind, &why),
            Msg::Adapter(adapter) => {
                self.backend.adapter = Some(adapter);
                self.prefer_gpu()
            }
            Msg::LowEndDevice => {
                // Unless the address asks for something else.
                if self.link.train == TrainConfig::demo() {
                    self.link.train = TrainConfig::small();
                }
                Vec::new()
            }
            Msg::ReadFailed(subject, text) => self.on_command_failed(subject, text),
            Msg::Notify(text) => {
                self.notice(text);
                Vec::new()
            }
            Msg::SavedItemsFound(runs, data) => {
                (self.training.earlier, self.training.saved_datasets) = (runs, data);
                Vec::new()
            }
            Msg::HistoryLoaded(number, bytes) => {
                self.training.remember(number, &bytes);
                Vec::new()
            }
            Msg::DatasetStored(name, file) => {
                self.training.saved_datasets.retain(|(kept, _)| *kept != name);
                self.training.saved_datasets.push((name, file));
                Vec::new()
            }
            Msg::AttackTimerFired => self.begin(),
            Msg::User(intent) => self.on_user_action(intent),
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

    /// Something long takes the worker from the attack on the image, if there is one, whose outcome is then unknown.
    pub(super) fn preempt_attack(&mut self) -> bool {
        let busy = self.busy();
        if busy {
            self.forget_attack();
            self.attack.phase = AttackPhase::Idle;
            self.attack_preempted = true;
        }
        busy
    }

    /// What took the worker from the attack on the image is over.
    pub(super) fn resume_preempted_attack(&mut self) -> Vec<Effect> {
        let over = self.busy() || matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. });
        if std::mem::take(&mut self.attack_preempted) && !over { self.schedule_attack(0) } else { self.schedule_next() }
    }

    /// The worker that attacked many images is gone.
    pub(super) fn abort_batch(&mut self) {
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

    pub(super) fn load_model(&self) -> Vec<Effect> {
        let ready = self.backend.current.is_some();
        self.model_wanted.filter(|_| ready).map(Effect::LoadModel).into_iter().collect()
    }

    /// What the views of this world's models need, if the worker does not have it in itself.
    pub(super) fn load_reference(&self) -> Vec<Effect> {
        let wanted = self.link.model.world == ImageDomain::Photos && self.backend.current.is_some();
        wanted.then_some(Effect::LoadReference).into_iter().collect()
    }

    pub(super) fn load_image(&self) -> Vec<Effect> {
        let load = |source| match source {
            Source::Builtin(index) if self.link.model.world == ImageDomain::Photos => Effect::LoadPhoto(index),
            Source::Builtin(index) => Effect::Send(Command::LoadSample { index }),
            Source::Uploaded(file) => Effect::LoadImage(file),
        };
        let ready = self.backend.current.is_some();
        self.image_wanted.filter(|_| ready).map(load).into_iter().collect()
    }

    /// Checks the worker in use against the fixture, if there is one.
    pub(super) fn load_check(&mut self) -> Vec<Effect> {
        let ready = self.backend.current.is_some();
        let load = |check: &mut BackendCheck| {
            check.groups.clear();
            Effect::Verify(check.file)
        };
        self.check.as_mut().filter(|_| ready).map(load).into_iter().collect()
    }

    /// Attacks in a moment, if there is something to attack.
    pub(super) fn schedule_attack(&mut self, pause: u32) -> Vec<Effect> {
        if self.clean.is_empty() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.attack.phase = AttackPhase::Scheduled;
        vec![Effect::StartAttackTimer(pause)]
    }

    fn begin(&mut self) -> Vec<Effect> {
        if self.attack.phase != AttackPhase::Scheduled || self.backend.current.is_none() {
            return Vec::new();
        }
        let Some(slot) = self.slot() else {
            self.attack.phase = AttackPhase::Idle;
            return Vec::new();
        };
        self.commit_crop();
        self.cancel_probe();
        self.last_id += 1;
        self.attack.id = self.last_id;
        self.attack.config = self.link.attack.clone();
        self.attack.target = self.link.target;
        self.attack.flags.clear();
        self.attack.rewound = None;
        self.saved = None;
        self.attack.phase = AttackPhase::Running { done: 0, total: 0 };
        let settings = self.attack.config.to_pairs();
        vec![Effect::Send(Command::Attack { id: self.attack.id, slot, settings, target: self.attack.target })]
    }
}
