//! Training in the page: the run, the copies that are kept of it, what the worker says of both. Part of the fold in `state`.
//!
//! A run trains whenever the worker has nothing else to do: every other command interrupts it, and `State::schedule_next` sends it on.

pub use super::run::{EvaluationResult, Point, Run, RunPhase};
use super::{message::Effect, runs::RunEvaluation, state::State, wishes::SavedRun};
use crate::{
    protocol::{Command, ExportPurpose, RunInfo, RunSnapshot, SettingPairs, TrainingDataInfo, decode},
    settings::Settings,
    train::{Record, TrainConfig},
};

/// What the worker is preparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingRun {
    Fresh(u64),
    /// A copy, to go on at once if it did before.
    Copy(u64, RunPhase),
    /// The n-th file brought, as number so and so.
    File(usize, u64),
}

/// All that the page knows of training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    pub run: Option<Run>,
    /// The runs before, oldest first.
    pub past: Vec<Run>,
    pub data: TrainingDataInfo,
    /// Images `[3, 32, 32]` that the user labeled, with their classes.
    pub(super) labeled: Vec<(String, Vec<u8>)>,
    /// The set brought that the worker has, and the one that it reads.
    pub(super) data_file: Option<usize>,
    pub loading_dataset: Option<usize>,
    pub earlier: Vec<SavedRun>,
    /// What was kept of the course of a run that is taken up.
    remembered: Option<(u64, Run)>,
    /// Data sets that are kept in this browser, with the numbers of their files.
    pub saved_datasets: Vec<(String, usize)>,
    pub(super) coming: Option<PendingRun>,
    pub run_evaluation: Option<RunEvaluation>,
}

impl Training {
    /// A run is being prepared.
    pub fn is_preparing(&self) -> bool {
        self.coming.is_some()
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.past.iter().chain(&self.run)
    }

    /// Puts the run among those before; one that never moved is forgotten, with its copy.
    pub(super) fn archive_run(&mut self) -> Vec<Effect> {
        match self.run.take() {
            Some(run) if run.step == 0 => vec![Effect::DeleteSavedRun(run.number)],
            run => {
                self.past.extend(run);
                Vec::new()
            }
        }
    }

    pub(super) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.past.iter_mut().chain(&mut self.run).find(|run| run.number == number)
    }

    /// Takes what was kept of a run's course; what an older page has written may be lost.
    pub(super) fn remember(&mut self, number: u64, history: &[u8]) {
        let course: Result<(Vec<Record>, Vec<Point>, EvaluationResult), _> = decode(history);
        let run = |(records, points, judged)| (number, Run { number, records, points, judged, ..Run::default() });
        self.remembered = course.ok().map(run);
    }

    /// Takes out what is known of a run.
    fn remove_run(&mut self, number: u64) -> Option<Run> {
        let place = self.past.iter().position(|run| run.number == number);
        self.run.take_if(|run| run.number == number).or_else(|| place.map(|place| self.past.remove(place)))
    }
}

impl State {
    /// Whether the worker does something other than training, or is about to.
    pub(super) fn computes_otherwise(&mut self) -> bool {
        self.busy()
            || self.explored.busy()
            || self.sides.running().is_some()
            || self.sides.fetching.is_some()
            || self.many.as_ref().is_some_and(|many| many.running)
            || self.training.is_preparing()
            || self.training.loading_dataset.is_some()
            || self.training.run_evaluation.is_some()
    }

    /// Trains on, if nothing else is to be done.
    pub(super) fn continue_training(&mut self) -> Vec<Effect> {
        let others = self.computes_otherwise();
        let Some(run) = self.training.run.as_mut() else { return Vec::new() };
        let steps = match run.phase {
            RunPhase::Running => u64::MAX,
            RunPhase::SingleStep => 1,
            RunPhase::Paused | RunPhase::Finished => return Vec::new(),
        };
        if others || run.asked.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.last_id += 1;
        run.asked = Some(self.last_id);
        vec![Effect::Send(Command::Train { id: self.last_id, steps })]
    }

    /// Keeps a copy of the run, if it has moved since the last one.
    pub(super) fn keep(&self) -> Vec<Effect> {
        let can = self.backend.current.is_some() && !self.training.is_preparing();
        let moved = self.training.run.as_ref().filter(|run| can && run.is_new());
        moved.map(|run| export(run.number, ExportPurpose::AutoSave)).into_iter().collect()
    }

    pub(super) fn load_data(&mut self) -> Vec<Effect> {
        let training = &mut self.training;
        let file = training.loading_dataset.or(training.data_file).filter(|_| self.backend.current.is_some());
        training.loading_dataset = file.or(training.loading_dataset);
        file.map(Effect::LoadDataset).into_iter().collect()
    }

    /// A new worker knows nothing of the data nor of the run, nor of what the one before was preparing.
    pub(super) fn restore_training(&mut self) -> Vec<Effect> {
        let training = &mut self.training;
        let coming = training.coming.take();
        (training.data, training.run_evaluation) = (TrainingDataInfo::default(), None);
        let mut tasks: Vec<Effect> = training.labeled.iter().cloned().map(label).collect();
        tasks.extend(self.load_data());
        let run = self.training.run.as_mut();
        let Some((phase, run)) = run.and_then(|run| match coming {
            None => Some((run.phase, run)),
            Some(PendingRun::Copy(number, phase)) if number == run.number => Some((phase, run)),
            Some(_) => None,
        }) else {
            // It takes the place of the run, if there is one, here as there.
            if let Some(coming) = coming {
                tasks.extend(self.training.archive_run());
                tasks.push(self.prepare(coming, 0));
            }
            return tasks;
        };
        run.asked = None;
        // What fails twice may be short of memory.
        let batch = if run.crashes > 1 { (run.info.batch / 2).max(2) } else { 0 };
        match run.kept {
            Some(_) => {
                let copy = PendingRun::Copy(run.number, phase);
                tasks.push(self.prepare(copy, batch));
            }
            None => self.training.run = None,
        }
        tasks
    }

    /// The worker that trained is gone. Whatever it was preparing may have been the cause.
    pub(super) fn training_crashed(&mut self) {
        let training = &mut self.training;
        training.coming = None;
        let file = training.loading_dataset.take();
        if let Some(run) = &mut training.run {
            run.crashes += u32::from(run.asked.is_some());
            run.asked = None;
        }
        if file.is_some() {
            training.data_file.take_if(|used| Some(*used) == file);
            self.notice(
                "The images to learn from were being read when the computation failed: they may be too many for this \
                 device's memory. Open them once more to try again."
                    .into(),
            );
        }
    }

    pub(super) fn on_dataset_changed(&mut self, data: TrainingDataInfo) -> Vec<Effect> {
        let mut tasks = Vec::new();
        // Else an image was labeled meanwhile.
        if data.labeled == self.training.data.labeled
            && let Some(dataset) = &data.uploaded
            && let Some(file) = self.training.loading_dataset.take()
            // Else a new worker has it again, whatever is learned from now.
            && self.training.data_file.replace(file) != Some(file)
        {
            let before = self.link.train.dataset;
            if self.link.train.set("dataset", &dataset.kind).is_ok() && self.link.train.dataset != before {
                self.apply_dataset_defaults();
            }
            if !self.training.saved_datasets.iter().any(|(_, kept)| *kept == file) {
                tasks.push(Effect::SaveDataset(file));
            }
        }
        self.training.data = data;
        tasks.extend(self.schedule_next());
        tasks
    }

    /// Real images are many, and alike under a flip.
    pub(super) fn apply_dataset_defaults(&mut self) {
        let usual = TrainConfig::demo();
        let drawn = self.link.train.dataset == usual.dataset;
        (self.link.train.limit, self.link.train.augment) = if drawn { (usual.limit, usual.augment) } else { (0, true) };
    }

    /// Another image is in view.
    pub(super) fn reset_tracked_image(&mut self) {
        if let Some(run) = &mut self.training.run {
            run.first = None;
            if let Some(last) = &mut run.last {
                last.tracked = None;
            }
        }
    }

    pub(super) fn on_run_ready(&mut self, info: RunInfo) -> Vec<Effect> {
        let training = &mut self.training;
        let mut tasks = match training.coming.take() {
            Some(PendingRun::Fresh(number)) => {
                let tasks = training.archive_run();
                training.run = Some(Run { phase: RunPhase::Running, ..Run::new(number, info) });
                tasks
            }
            Some(PendingRun::Copy(number, phase)) => self.restore_run(number, phase, Some(info.step), info),
            Some(PendingRun::File(_, number)) => self.restore_run(number, RunPhase::Paused, None, info),
            None => {
                if let Some(run) = &mut training.run {
                    run.take(info);
                }
                return self.schedule_next();
            }
        };
        tasks.extend(self.keep());
        tasks.extend(self.schedule_next());
        tasks
    }

    /// The worker has a run again, from a copy of the step `kept` or from a file.
    fn restore_run(&mut self, number: u64, phase: RunPhase, kept: Option<u64>, info: RunInfo) -> Vec<Effect> {
        let (training, step) = (&mut self.training, info.step);
        training.earlier.retain(|earlier| earlier.number != number);
        let same = training.run.as_ref().is_some_and(|run| run.number == number);
        let known = training.remove_run(number);
        let mut tasks = training.archive_run();
        // Settings that have changed since the copy.
        let changed = |run: &Run| {
            let live = run.config.to_pairs().into_iter().filter(|pair| TrainConfig::live(&pair.0));
            live.filter(|pair| !info.settings.contains(pair)).collect::<SettingPairs>()
        };
        let settings = known.as_ref().map(changed).unwrap_or_default();
        if !settings.is_empty() {
            tasks.push(Effect::Send(Command::UpdateSettings { settings }));
        }
        let remembered = || training.remembered.take_if(|(of, _)| *of == number).map(|(_, run)| run);
        let mut run = known.or_else(remembered).unwrap_or_else(|| Run { number, ..Run::default() });
        let lost = run.step.saturating_sub(step);
        run.take(info);
        (run.kept, run.asked, run.broken) = (kept, None, false);
        run.phase = if run.step >= run.info.steps { RunPhase::Finished } else { phase };
        training.run = Some(run);
        self.notice(match same {
            true => format!(
                "The run goes on from the copy kept at step {step}, {lost} step{} back.",
                if lost == 1 { "" } else { "s" }
            ),
            false => format!("The run is back where it was, after step {step}."),
        });
        tasks
    }

    pub(super) fn on_train_progress(
        &mut self,
        (id, over): (u64, bool),
        step: u64,
        records: Vec<Record>,
        look: Option<Box<RunSnapshot>>,
        [speed, memory]: [f64; 2],
    ) -> Vec<Effect> {
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
        if run.phase == RunPhase::SingleStep {
            run.phase = RunPhase::Paused;
        }
        if done {
            run.phase = RunPhase::Finished;
        }
        let mut tasks = if done { self.keep() } else { Vec::new() };
        tasks.extend(self.schedule_next());
        tasks
    }

    pub(super) fn on_run_exported(
        &mut self,
        (number, step): (u64, u64),
        purpose: ExportPurpose,
        name: String,
        bytes: Vec<u8>,
    ) -> Vec<Effect> {
        match purpose {
            ExportPurpose::AutoSave => {
                let Some(run) = self.training.run_mut(number) else { return Vec::new() };
                run.kept = Some(step);
                let mut tasks = vec![Effect::SaveRun { number, words: run.words(), history: run.history(), bytes }];
                tasks.extend(self.evaluate_exported_run());
                tasks
            }
            ExportPurpose::SaveRun | ExportPurpose::SaveModel => vec![Effect::Download(name, bytes)],
            ExportPurpose::LoadModel => vec![Effect::LoadModelBytes(name, bytes)],
        }
    }

    /// A run could not begin or go on.
    pub(super) fn on_training_failed(&mut self) -> Vec<Effect> {
        let coming = self.training.coming.take();
        match (&mut self.training.run, coming) {
            // The worker does not have it.
            (Some(run), Some(PendingRun::Copy(number, _))) if run.number == number => {
                return self.training.archive_run();
            }
            (Some(run), None) => (run.phase, run.asked) = (RunPhase::Paused, None),
            _ => {}
        }
        Vec::new()
    }

    /// The run's numbers are no longer finite: if it was to be judged, its last copy is.
    pub(super) fn on_diverged(&mut self, text: String) -> Vec<Effect> {
        if let Some(run) = &mut self.training.run {
            (run.phase, run.asked, run.broken) = (RunPhase::Paused, None, true);
        }
        self.notice(text);
        let mut tasks = self.evaluate_exported_run();
        tasks.extend(self.schedule_next());
        tasks
    }
}

pub(super) fn label((class, pixels): (String, Vec<u8>)) -> Effect {
    Effect::Send(Command::AddLabeledImage { class, pixels })
}

pub(super) fn export(number: u64, purpose: ExportPurpose) -> Effect {
    Effect::Send(Command::ExportRun { number, purpose })
}
