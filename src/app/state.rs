//! All that the page knows, as a fold: [`State::apply`] takes what happened and says what to do about it. No browser in
//! here, so it is tested natively.

use super::{
    explore::Explored,
    frame::Frame,
    intents::PAUSE,
    link::{Link, Shipped, Wish, World},
    message::{Input, Kind, Sort, Source, Task},
    own::Own,
    saved::Saved,
    sides::{Side, Sides},
    training::Training,
    views::sentence,
    workers::Backend,
};
use crate::{
    config::{AttackConfig, Settings, TrainConfig},
    evaluate::Report,
    protocol::{AttackResult, Command, Event, ModelInfo, PictureInfo, Slot, Subject, Trace, Transfer},
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
    /// The way of each of its attacks.
    pub traces: Vec<Trace>,
    /// Why not to trust it.
    pub flags: Vec<String>,
    /// What the other models make of the attacked picture, as probabilities; once the attack is over.
    pub transfer: Vec<(Slot, Vec<f32>)>,
}

/// The same attack on many pictures of the embedded set.
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

    fn hear_current(&mut self, kind: Kind, event: Event) -> Vec<Task> {
        match event {
            Event::ModelLoaded { slot: Slot::Run, .. } => return self.judge_loaded(),
            Event::ModelLoaded { slot, model } => {
                self.sides.fetching.take_if(|source| source.slot() == slot);
                match self.model_wanted.filter(|source| source.slot() == slot) {
                    Some(source) => {
                        if self.slot() != Some(slot) {
                            self.put_aside(source);
                        }
                        if let Source::Own(n) = source {
                            self.own_model = Some(n);
                        }
                        self.link.target = self.link.target.filter(|&class| class < model.classes.len());
                        (self.model, self.model_in_use) = (Some(model), Some(source));
                        self.left = None;
                    }
                    // What it makes of the picture comes next.
                    None => {
                        self.sides.loaded.insert(slot, Side::new(model));
                    }
                }
            }
            Event::PictureLoaded { picture } => {
                if self.picture.as_ref().is_none_or(|p| p.pixels != picture.pixels) {
                    // The old picture's attack says nothing about the new one.
                    self.forget_attack();
                    self.attack.phase = Phase::Idle;
                    self.clean.clear();
                    self.sides.forget_picture();
                    self.explored = Explored::default();
                    self.follow_anew();
                }
                let ask = self.seen(picture.crop);
                self.picture = Some(picture);
                self.picture_in_use = self.picture_wanted;
                if let Some(Source::Own(n)) = self.picture_in_use {
                    self.own_picture = Some(n);
                }
                return ask;
            }
            Event::Whole { whole } => self.framed(whole),
            Event::Classified { slot, probabilities } if self.slot() != Some(slot) => {
                if let Some(side) = self.sides.loaded.get_mut(&slot) {
                    side.clean = probabilities;
                    side.attack = Attack::default();
                }
                return self.go_on();
            }
            Event::Classified { probabilities, .. } => {
                // Two backends differ in the last digits: what one found may stay in view while the other starts.
                let same = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
                if probabilities.len() != self.clean.len() || !probabilities.iter().zip(&self.clean).all(same) {
                    self.forget_attack();
                }
                self.clean = probabilities;
                // A square on its way starts no attack.
                return self.soon(if self.frame.is_some() { PAUSE } else { 0 });
            }
            Event::AttackProgress { id, done, total, result, traces } if id == self.attack.id => {
                // Settings may have changed since: then the next attack is due already.
                if self.attack.phase != Phase::Soon {
                    self.attack.phase = Phase::Running { done, total };
                }
                (self.attack.result, self.attack.traces) = (Some(result), traces);
            }
            Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer } => {
                let steps = traces.iter().map(|trace| trace.steps).sum();
                let side = self.sides.attack(id);
                if let Some(attack) = if id == self.attack.id { Some(&mut self.attack) } else { side } {
                    if attack.phase != Phase::Soon {
                        attack.phase = Phase::Done { steps, milliseconds, stopped };
                    }
                    (attack.result, attack.traces) = (Some(result), traces);
                    (attack.flags, attack.transfer) = (flags, Vec::new());
                }
                for Transfer { under, judge, probabilities } in transfer {
                    if let Some(attack) = self.attack_under(under) {
                        attack.transfer.retain(|(other, _)| *other != judge);
                        attack.transfer.push((judge, probabilities));
                    }
                }
                return self.go_on();
            }
            Event::Evaluated { id, report, over, stopped } => {
                if let Some(tasks) = self.hear_judged(id, &report, over, stopped) {
                    return tasks;
                }
                if let Some(many) = self.many.as_mut().filter(|many| many.id == id) {
                    (many.report, many.running, many.stopped) = (Some(report), !over, stopped);
                }
                return self.go_on();
            }
            Event::Explored { id, answer, over, .. } => return self.hear_answer(id, answer, over),
            Event::Unanswered { id } => return self.hear_nothing(id),
            Event::Refused { subject: Subject::Device, text } => return self.crashed(kind, &text),
            Event::Refused { subject, text } => return self.refused(subject, text),
            Event::Verified { checks, milliseconds } => {
                if let Some(check) = &mut self.check {
                    (check.groups, check.milliseconds) = (checks, milliseconds);
                }
            }
            Event::Saved { name, png, probabilities, fools } => {
                // Once the next attack is due it says nothing about what is in view.
                self.saved = (!self.busy()).then(|| Saved { name: name.clone(), probabilities, fools });
                return vec![Task::Download(name, png)];
            }
            Event::Data { data } => return self.hear_data(data),
            Event::Prepared { run } => return self.hear_prepared(*run),
            Event::Trained { id, step, records, look, speed, memory, over } => {
                return self.hear_trained((id, over), step, records, look, [speed, memory as f64]);
            }
            Event::Exported { number, purpose, name, step, bytes } => {
                return self.hear_exported((number, step), purpose, name, bytes);
            }
            Event::Opened { .. } | Event::AttackProgress { .. } => {}
        }
        Vec::new()
    }

    /// The worker that attacked many pictures is gone.
    pub(super) fn cut_short(&mut self) {
        if let Some(many) = self.many.as_mut().filter(|many| many.running) {
            (many.running, many.stopped) = (false, true);
        }
    }

    pub(super) fn forget_attack(&mut self) {
        self.attack.result = None;
        self.saved = None;
        self.attack.traces.clear();
        self.attack.flags.clear();
        self.attack.transfer.clear();
    }

    /// Something could not be had: say why, go on with what there is.
    fn refused(&mut self, subject: Subject, text: String) -> Vec<Task> {
        match subject {
            Subject::Model | Subject::Evaluation if self.training.judging.is_some() => {
                self.notice(text);
                return self.judge_refused();
            }
            Subject::Model if self.model_wanted == self.model_in_use && self.sides.give_up() => {}
            Subject::Model if self.left.is_some() => {
                self.notice(text);
                return self.go_back();
            }
            Subject::Model => {
                self.model_wanted = self.model_in_use;
                if let Some(Source::Ours(model)) = self.model_in_use {
                    self.link.model = model;
                }
            }
            Subject::Picture => {
                self.drop_unreadable();
                self.picture_wanted = self.picture_in_use;
                if let Some(Source::Ours(sample)) = self.picture_in_use {
                    self.link.sample = sample;
                }
            }
            Subject::Attack => match self.sides.running() {
                Some(attack) => attack.phase = Phase::Done { steps: 0, milliseconds: 0.0, stopped: false },
                None => self.attack.phase = Phase::Idle,
            },
            Subject::Evaluation => self.many = None,
            Subject::Fixture => self.check = None,
            Subject::Data | Subject::Training => self.training_refused(subject),
            Subject::Device | Subject::Export | Subject::Reference => {}
        }
        self.notice(text);
        self.go_on()
    }

    // --- what is in view ---------------------------------------------------------------------------------------------

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

/// Whether a file is an archive, gzip or zip, by its start: pictures to learn from.
pub fn is_archive(start: &[u8]) -> bool {
    [&[0x1f, 0x8b, 8][..], b"PK\x03\x04", b"PK\x05\x06"].iter().any(|magic| start.starts_with(magic))
}

/// What a file is, by its name or else by its start: a safetensors file is a length and then JSON, which names the
/// pictures if the file is a fixture.
pub fn sort(name: &str, start: &[u8]) -> Sort {
    let named = name.to_ascii_lowercase().ends_with(".safetensors");
    let pictures = br#""input.x""#;
    if named || (start.get(5..9) == Some(&[0, 0, 0, b'{'])) {
        if start.windows(pictures.len()).any(|w| w == pictures) { Sort::Fixture } else { Sort::Model }
    } else {
        Sort::Picture
    }
}
