//! What the user wants of training, and what follows from it. Part of the fold in `state`.

use super::{
    message::Task,
    run::Phase,
    state::State,
    training::{Coming, export, label, pairs},
};
use crate::{
    config::{Settings, TrainConfig},
    protocol::{Command, Origin, Purpose},
};

/// What the user wants of training.
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
    /// Train on the image in view, too, as one of this class.
    Label(String),
    Unlabel,
    /// Judge all runs by the attack that is chosen, on so many held-out images.
    Judge(usize),
}

/// A run that was kept in an earlier visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub number: u64,
    /// What it is, for people.
    pub words: String,
}

impl State {
    pub(super) fn wish(&mut self, wish: Wish) -> Vec<Task> {
        match wish {
            Wish::Set(key, value) => return self.set_training(key, value),
            Wish::Origin(origin) => self.link.origin = origin,
            Wish::Begin(number) => return self.another(Coming::Fresh(number)),
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
            // The copy would wait for what else is computed; and the run does not move meanwhile.
            Wish::Keep if self.computes_otherwise() => {}
            Wish::Keep => return self.keep(),
            Wish::TakeUp(number) => return self.another(Coming::Copy(number, Phase::Paused)),
            Wish::Forget(number) => {
                self.training.earlier.retain(|earlier| earlier.number != number);
                self.training.past.retain(|run| run.number != number);
                return vec![Task::Forget(number)];
            }
            Wish::Resume(..) if !self.can_begin() => {
                self.notice("The page prepares something else: open the run's file again in a moment.".into());
            }
            Wish::Resume(file, number) => return self.another(Coming::File(file, number)),
            Wish::Data(_) if self.training.data_coming.is_some() => {
                self.notice("Another set is being read: open this one again in a moment.".into());
            }
            Wish::Data(file) => {
                // Chosen once more it is to be used, too.
                self.training.data_file.take_if(|used| *used == file);
                self.training.data_coming = Some(file);
                return self.load_data();
            }
            Wish::ForgetData(name) => {
                self.training.earlier_data.retain(|(kept, _)| *kept != name);
                return vec![Task::ForgetData(name)];
            }
            Wish::Label(class) => {
                let labeled = self.image.as_ref().map(|image| (class, image.pixels.clone()));
                self.training.labeled.extend(labeled.clone());
                return labeled.map(label).into_iter().collect();
            }
            Wish::Unlabel => {
                self.training.labeled.clear();
                return vec![Task::Send(Command::Unlabel)];
            }
            Wish::Judge(images) => return self.judge(images),
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
        let awaited = matches!(self.training.coming, Some(Coming::Copy(..)));
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != Phase::Over && TrainConfig::live(key))
        else {
            return Vec::new();
        };
        if awaited {
            // The worker may not have it yet: it is tuned as soon as it is there.
            let _ = run.config.set(key, &value);
            return Vec::new();
        }
        vec![Task::Send(Command::Tune { settings: vec![(key.into(), value)] })]
    }

    /// Whether a run can be prepared now.
    pub fn can_begin(&self) -> bool {
        self.backend.current.is_some() && !self.training.coming() && self.training.data_coming.is_none()
    }

    /// Prepares a run in place of the one there is, of which a copy is kept.
    fn another(&mut self, coming: Coming) -> Vec<Task> {
        if !self.can_begin() {
            return Vec::new();
        }
        let mut tasks = self.keep();
        tasks.push(self.prepare(coming, 0));
        tasks
    }

    /// With at most `batch` images a step, if it is a copy (0: as many as it had).
    pub(super) fn prepare(&mut self, coming: Coming, batch: usize) -> Task {
        self.training.coming = Some(coming);
        match coming {
            Coming::Fresh(_) => {
                Task::Send(Command::Begin { origin: self.link.origin, settings: pairs(&self.link.train) })
            }
            Coming::Copy(number, _) => Task::TakeUp(number, batch),
            Coming::File(file, _) => Task::Resume(file),
        }
    }

    fn drive(&mut self, phase: Phase) -> Vec<Task> {
        let Some(run) = self.training.run.as_mut().filter(|run| run.phase != Phase::Over) else { return Vec::new() };
        if run.broken && phase != Phase::Paused {
            let copy = Coming::Copy(run.number, phase);
            return vec![self.prepare(copy, 0)];
        }
        let runs = run.asked.is_some();
        run.phase = phase;
        match (phase, runs) {
            (Phase::Paused, true) => vec![Task::Send(Command::Stop)],
            (Phase::Paused, false) | (_, true) => Vec::new(),
            (_, false) => self.train_on(),
        }
    }
}
