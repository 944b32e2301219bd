//! Training in the page: what the next run shall be, the run, the copies that are kept of it. Part of the fold in `state`.
//!
//! A run trains whenever the worker has nothing else to do: every other command interrupts it, and `State::go_on` sends it on.

pub use super::run::{Phase, Point, Run};
use super::{message::Task, runs::Judging, state::State};
use crate::{
    config::{Dataset, Settings, TrainConfig},
    protocol::{Command, DataInfo, Look, Origin, Pairs, Purpose, RunInfo, Subject},
    train::Record,
};

/// What the visitor wants of training.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Change a setting of the next run, and of the one under way if it may change while that runs.
    Set(&'static str, String),
    Origin(Origin),
    /// Begin a run. The number names its copies: milliseconds since 1970.
    Begin(u64),
    Go,
    Pause,
    /// Train one step.
    Step,
    /// Put the run away; it stays among those compared.
    End,
    Save(Purpose),
    /// Keep a copy, if there is something new.
    Keep,
    /// Go on with the run that was kept under a number.
    TakeUp(u64),
    /// Delete what was kept under a number.
    Forget(u64),
    /// Go on with the run in the n-th file brought, as number so and so.
    Resume(usize, u64),
    /// Train on the n-th set brought or kept.
    Data(usize),
    /// Delete the set of this name that was kept.
    ForgetData(String),
    /// Train on the picture in view, too, as one of this class.
    Label(String),
    Unlabel,
    /// Judge all runs by the attack that is chosen, on so many held-out pictures.
    Judge(usize),
}

/// A run that was kept in an earlier visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub number: u64,
    /// What it is, for people.
    pub words: String,
}

/// What the worker is preparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coming {
    Fresh(u64),
    /// A copy, to go on at once if it did before.
    Copy(u64, Phase),
}

/// All that the page knows of training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    /// What the next run begins with; its settings are in the address.
    pub origin: Origin,
    pub run: Option<Run>,
    /// The runs before, oldest first.
    pub past: Vec<Run>,
    pub data: DataInfo,
    /// Pictures `[3, 32, 32]` that the visitor labelled, with their classes.
    labelled: Vec<(String, Vec<u8>)>,
    /// The set brought that is in use or on its way.
    pub(super) data_file: Option<usize>,
    pub data_coming: bool,
    pub earlier: Vec<Earlier>,
    /// Data sets that were kept in earlier visits, with the numbers of their files.
    pub earlier_data: Vec<(String, usize)>,
    coming: Option<Coming>,
    pub judging: Option<Judging>,
}

impl Training {
    /// A run is being prepared.
    pub fn coming(&self) -> bool {
        self.coming.is_some()
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.past.iter().chain(&self.run)
    }

    /// Puts the run among those before; one that never moved is forgotten, with its copy.
    fn put_away(&mut self) -> Vec<Task> {
        match self.run.take() {
            Some(run) if run.step == 0 => vec![Task::Forget(run.number)],
            run => {
                self.past.extend(run);
                Vec::new()
            }
        }
    }

    pub(super) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.past.iter_mut().chain(&mut self.run).find(|run| run.number == number)
    }
}

impl State {
    pub(super) fn wish(&mut self, wish: Wish) -> Vec<Task> {
        match wish {
            Wish::Set(key, value) => return self.set_training(key, value),
            Wish::Origin(origin) => self.training.origin = origin,
            Wish::Begin(number) => return self.begin_run(number),
            Wish::Go => return self.drive(Phase::Going),
            Wish::Step => return self.drive(Phase::Stepping),
            Wish::Pause => return self.drive(Phase::Paused),
            Wish::End => {
                let mut tasks = self.drive(Phase::Paused);
                tasks.extend(self.keep());
                tasks.extend(self.training.put_away());
                return tasks;
            }
            Wish::Save(purpose) => {
                let run = self.training.run.as_ref();
                return run.map(|run| export(run.number, purpose)).into_iter().collect();
            }
            // To write a copy would end what else is computed; and the run does not move meanwhile.
            Wish::Keep if self.computes_otherwise() => {}
            Wish::Keep => return self.keep(),
            Wish::TakeUp(number) => return self.take_up(number, Phase::Paused, 0),
            Wish::Forget(number) => {
                self.training.earlier.retain(|earlier| earlier.number != number);
                return vec![Task::Forget(number)];
            }
            Wish::Resume(file, number) => {
                self.training.coming = Some(Coming::Copy(number, Phase::Paused));
                return vec![Task::Resume(file)];
            }
            Wish::Data(file) => {
                self.training.data_file = Some(file);
                return self.load_data();
            }
            Wish::ForgetData(name) => {
                self.training.earlier_data.retain(|(kept, _)| *kept != name);
                return vec![Task::ForgetData(name)];
            }
            Wish::Label(class) => {
                let labelled = self.picture.as_ref().map(|picture| (class, picture.pixels.clone()));
                self.training.labelled.extend(labelled.clone());
                return labelled.map(label).into_iter().collect();
            }
            Wish::Unlabel => {
                self.training.labelled.clear();
                return vec![Task::Send(Command::Unlabel)];
            }
            Wish::Judge(pictures) => return self.judge(pictures),
        }
        Vec::new()
    }

    fn set_training(&mut self, key: &'static str, value: String) -> Vec<Task> {
        if let Err(error) = self.link.train.set(key, &value) {
            self.notice(error.to_string());
            return Vec::new();
        }
        if key == "dataset" {
            self.suit_data();
        }
        let under_way = self.training.run.as_ref().is_some_and(|run| run.phase != Phase::Over);
        if under_way && TrainConfig::live(key) {
            return vec![Task::Send(Command::Tune { settings: vec![(key.into(), value)] })];
        }
        Vec::new()
    }

    fn begin_run(&mut self, number: u64) -> Vec<Task> {
        if self.backend.current.is_none() || self.training.coming() {
            return Vec::new();
        }
        let settings = pairs(&self.link.train);
        // Of the run before, which is put away.
        let mut tasks = self.keep();
        self.training.coming = Some(Coming::Fresh(number));
        tasks.push(Task::Send(Command::Begin { origin: self.training.origin, settings }));
        tasks
    }

    fn drive(&mut self, phase: Phase) -> Vec<Task> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != Phase::Over) else { return Vec::new() };
        let runs = run.asked.is_some();
        run.phase = phase;
        match (phase, runs) {
            (Phase::Paused, true) => vec![Task::Send(Command::Stop)],
            (Phase::Paused, false) | (_, true) => Vec::new(),
            (_, false) => self.train_on(),
        }
    }

    /// Whether the worker does something other than training, or is about to.
    fn computes_otherwise(&mut self) -> bool {
        self.busy()
            || self.explored.busy()
            || self.sides.running().is_some()
            || self.sides.fetching.is_some()
            || self.many.as_ref().is_some_and(|many| many.running)
            || self.training.coming()
            || self.training.data_coming
            || self.training.judging.is_some()
    }

    /// Trains on, if nothing else is to be done.
    pub(super) fn train_on(&mut self) -> Vec<Task> {
        let others = self.computes_otherwise();
        let Some(run) = self.training.run.as_mut() else { return Vec::new() };
        let steps = match run.phase {
            Phase::Going => u64::MAX,
            Phase::Stepping => 1,
            Phase::Paused | Phase::Over => return Vec::new(),
        };
        if others || run.asked.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.last_id += 1;
        run.asked = Some(self.last_id);
        vec![Task::Send(Command::Train { id: self.last_id, steps })]
    }

    /// Keeps a copy of the run, if it has moved since the last one.
    pub(super) fn keep(&self) -> Vec<Task> {
        let moved = self.training.run.as_ref().filter(|run| run.kept != Some(run.step) && !self.training.coming());
        moved.map(|run| export(run.number, Purpose::Keep)).into_iter().collect()
    }

    fn take_up(&mut self, number: u64, phase: Phase, batch: usize) -> Vec<Task> {
        self.training.coming = Some(Coming::Copy(number, phase));
        vec![Task::TakeUp(number, batch)]
    }

    pub(super) fn load_data(&mut self) -> Vec<Task> {
        let Some(file) = self.training.data_file.filter(|_| self.backend.current.is_some()) else { return Vec::new() };
        self.training.data_coming = true;
        vec![Task::LoadData(file)]
    }

    /// A new worker knows nothing of the data nor of the run.
    pub(super) fn train_again(&mut self) -> Vec<Task> {
        let training = &mut self.training;
        (training.data, training.coming, training.judging) = (DataInfo::default(), None, None);
        let mut tasks: Vec<Task> = training.labelled.iter().cloned().map(label).collect();
        tasks.extend(self.load_data());
        let Some(run) = &mut self.training.run else { return tasks };
        run.asked = None;
        // What fails twice may be short of memory.
        let batch = if run.crashes > 1 { (run.info.batch / 2).max(2) } else { 0 };
        let (number, phase, kept) = (run.number, run.phase, run.kept);
        match kept {
            Some(_) => tasks.extend(self.take_up(number, phase, batch)),
            None => self.training.run = None,
        }
        tasks
    }

    /// The worker that trained is gone.
    pub(super) fn training_crashed(&mut self) {
        if std::mem::take(&mut self.training.data_coming) {
            self.training_refused(Subject::Data);
            self.notice(
                "The pictures to learn from were being read when the computation failed: they may be too many for this \
                 device's memory. Open them once more to try again."
                    .into(),
            );
        }
        if let Some(run) = &mut self.training.run {
            run.crashes += u32::from(run.asked.is_some());
            run.asked = None;
        }
    }

    pub(super) fn hear_data(&mut self, data: DataInfo) -> Vec<Task> {
        if std::mem::take(&mut self.training.data_coming)
            && let Some((_, kind, _)) = &data.brought
            && self.link.train.set("dataset", kind).is_ok()
        {
            self.suit_data();
        }
        self.training.data = data;
        self.go_on()
    }

    /// Real pictures are many, and alike under a flip.
    fn suit_data(&mut self) {
        let usual = TrainConfig::demo();
        let drawn = self.link.train.dataset == usual.dataset;
        (self.link.train.limit, self.link.train.augment) = if drawn { (usual.limit, usual.augment) } else { (0, true) };
    }

    /// Another picture is in view.
    pub(super) fn follow_anew(&mut self) {
        if let Some(run) = &mut self.training.run {
            run.first = None;
            if let Some(last) = &mut run.last {
                last.followed = None;
            }
        }
    }

    pub(super) fn hear_prepared(&mut self, info: RunInfo) -> Vec<Task> {
        let training = &mut self.training;
        let mut tasks = Vec::new();
        match training.coming.take() {
            Some(Coming::Fresh(number)) => {
                tasks = training.put_away();
                training.run = Some(Run { phase: Phase::Going, ..Run::new(number, info) });
            }
            Some(Coming::Copy(number, phase)) => {
                training.earlier.retain(|earlier| earlier.number != number);
                let step = info.step;
                let same = training.run.as_ref().is_some_and(|run| run.number == number);
                if !same {
                    tasks = training.put_away();
                    training.past.retain(|run| run.number != number);
                    training.run = Some(Run::new(number, info));
                    self.notice(format!("The run is back where it was, after step {step}."));
                } else if let Some(run) = &mut training.run {
                    let lost = run.step.saturating_sub(step);
                    run.take(info);
                    (run.kept, run.asked) = (Some(step), None);
                    self.notice(format!(
                        "The run goes on from the copy kept at step {step}, {lost} step{} back.",
                        if lost == 1 { "" } else { "s" }
                    ));
                }
                if let Some(run) = &mut self.training.run {
                    run.phase = if run.step >= run.info.steps { Phase::Over } else { phase };
                }
            }
            None => {
                if let Some(run) = &mut training.run {
                    run.take(info);
                }
                return self.go_on();
            }
        }
        tasks.extend(self.keep());
        tasks.extend(self.go_on());
        tasks
    }

    pub(super) fn hear_trained(
        &mut self,
        (id, over): (u64, bool),
        step: u64,
        records: Vec<Record>,
        look: Option<Box<Look>>,
        [speed, memory]: [f64; 2],
    ) -> Vec<Task> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.asked == Some(id)) else { return Vec::new() };
        run.step = step;
        run.records.extend(records);
        if let Some(look) = look {
            run.points.push(Point { step: look.step, clean: look.clean, robust: look.robust });
            run.first.get_or_insert_with(|| look.clone());
            run.last = Some(look);
        }
        if speed > 0.0 {
            run.speed = speed;
        }
        run.memory = memory as u64;
        if !over {
            return Vec::new();
        }
        run.asked = None;
        // The last look may have been interrupted: then it is still to come.
        let done = step >= run.info.steps && run.points.last().is_some_and(|point| point.step == step);
        if run.phase == Phase::Stepping {
            run.phase = Phase::Paused;
        }
        if done {
            run.phase = Phase::Over;
        }
        let mut tasks = if done { self.keep() } else { Vec::new() };
        tasks.extend(self.go_on());
        tasks
    }

    pub(super) fn hear_exported(
        &mut self,
        (number, step): (u64, u64),
        purpose: Purpose,
        name: String,
        bytes: Vec<u8>,
    ) -> Vec<Task> {
        match purpose {
            Purpose::Keep => {
                let Some(run) = self.training.run_mut(number) else { return Vec::new() };
                run.kept = Some(step);
                let mut tasks = vec![Task::Keep { number, words: run.words(), bytes }];
                tasks.extend(self.judge_on());
                tasks
            }
            Purpose::SaveRun | Purpose::SaveModel => vec![Task::Download(name, bytes)],
            Purpose::Try => vec![Task::Try(name, bytes)],
        }
    }

    /// What could not be done about training.
    pub(super) fn training_refused(&mut self, subject: Subject) {
        match subject {
            Subject::Data => {
                (self.training.data_coming, self.training.data_file) = (false, None);
                self.link.train.dataset = Dataset::Synthetic;
            }
            Subject::Training => {
                let coming = self.training.coming.take();
                if let (None, Some(run)) = (coming, &mut self.training.run) {
                    (run.phase, run.asked) = (Phase::Paused, None);
                }
            }
            _ => {}
        }
    }
}

fn label((class, pixels): (String, Vec<u8>)) -> Task {
    Task::Send(Command::Label { class, pixels })
}

pub(super) fn export(number: u64, purpose: Purpose) -> Task {
    Task::Send(Command::Export { number, purpose })
}

/// Settings as they travel.
fn pairs(config: &TrainConfig) -> Pairs {
    config.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
