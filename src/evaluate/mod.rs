//! Clean and robust accuracy. Attacks run in sequence, each on the images that are still classified correctly.

mod interval;
mod pair;
mod state;
mod tally;

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::{
    attack::{
        Attack, AttackBatch, AttackConfig, AttackOutcome, Error, Goal, ModelOracle, Observer, Progress,
        any::{NamedAttack, build_attacks},
        autoattack::{Flag, SQUARE_AHEAD, check_outputs},
    },
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, to_unit_range},
    model::{Classifier, Model},
    platform,
    prediction::{ranking, seen},
    random::{self, RngExt, StreamId},
};
pub use interval::wilson;
pub use pair::{Pair, pairs};
pub use state::{Accuracy, ImageStatus, Record, Report, State};
pub use tally::{Tally, View, Views};

/// Target class of targeted attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This class.
    Class(usize),
    /// A wrong class drawn for each image.
    Random,
    /// The least likely class.
    LeastLikely,
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "random" => Ok(Self::Random),
            "least-likely" => Ok(Self::LeastLikely),
            _ => text.parse().map(Self::Class).map_err(|_| "expected a class number, random or least-likely".into()),
        }
    }
}

impl Target {
    /// The class to reach on image `id` with this label and these logits.
    fn class(self, z: &[f32], label: usize, seed: u64, id: u64) -> usize {
        match self {
            Self::Class(class) => class,
            Self::LeastLikely => ranking(z).into_iter().rfind(|&class| class != label).unwrap_or(label),
            Self::Random => {
                let other = random::stream(seed, StreamId::Target, id).random_range(0..z.len() - 1);
                other + usize::from(other >= label)
            }
        }
    }
}

/// A data set and the attacks that a model is evaluated with.
pub struct Evaluation<'a> {
    pub images: &'a ImageSet,
    pub attacks: &'a [NamedAttack],
    pub target: Option<Target>,
    /// Of random targets.
    pub seed: u64,
    /// Images attacked at once.
    pub batch: usize,
    /// Flags known before, such as of attacks left out; and whether the model may answer at random.
    pub flags: Vec<Flag>,
    pub may_be_random: bool,
}

/// Progress of an evaluation.
pub struct EvaluationProgress<'a> {
    pub state: &'a State,
    /// Images that the running attack has dealt with, of those that stood before it; parts count while a batch runs.
    pub done: f64,
    pub of: usize,
    /// Whether a batch has just finished, so that `state` can be saved.
    pub batch_finished: bool,
}

/// Callback of an evaluation.
pub trait EvaluationObserver {
    /// Receives the progress after each step. Returns `Break` to stop; the evaluation can resume from the last state with
    /// `batch_finished`.
    fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> impl Future<Output = ControlFlow<()>>;
}

impl Evaluation<'_> {
    fn pixels(&self, ids: &[usize]) -> Vec<f32> {
        to_unit_range(&self.images.select(ids).pixels)
    }

    fn label(&self, i: usize) -> usize {
        self.images.labels[i] as usize
    }

    /// Checks the outputs of the model and computes its clean predictions.
    ///
    /// # Errors
    /// If the model returns NaN or infinity, the device fails, or an attack or the target does not fit the model.
    pub async fn begin(&self, model: &impl Classifier, device: &Device) -> Result<State, Error> {
        let query = ModelOracle::new(model, device, [3, IMAGE_SIZE, IMAGE_SIZE], self.batch);
        let n = self.images.len();
        let pixels = self.pixels(&(0..n).collect::<Vec<_>>());
        let mut flags = self.flags.clone();
        flags.extend(check_outputs(&query, &pixels[..self.batch.min(n) * IMAGE_LEN]).await?);
        flags.retain(|flag| !(self.may_be_random && *flag == Flag::Randomized));
        let logits = query.logits(&pixels).await?;
        check(self.attacks, self.target, logits.classes)?;
        let right = |(i, z): (usize, &[f32])| seen(z, self.label(i)) == self.label(i);
        let fate = |row| if right(row) { ImageStatus::Robust } else { ImageStatus::Misclassified };
        Ok(State {
            statuses: logits.rows().enumerate().map(fate).collect(),
            predictions: logits.rows().enumerate().map(|(i, z)| seen(z, self.label(i))).collect(),
            adversarial: pixels,
            records: Vec::new(),
            flags,
            next: 0,
            finished: false,
        })
    }

    /// Goes on with an evaluation until its end, or until the observer stops it. Attacks are made on `model`; `eval_model`,
    /// usually the same, decides whether an image falls.
    pub async fn run(
        &self,
        model: &impl Classifier,
        eval_model: &impl Classifier,
        device: &Device,
        state: &mut State,
        observer: &mut impl EvaluationObserver,
    ) -> Result<(), Error> {
        if state.finished {
            return Ok(());
        }
        let run = EvaluationRun { evaluation: self, model, eval_model, device };
        let first = state.records.len().saturating_sub(1);
        for (number, attack) in self.attacks.iter().enumerate().skip(first) {
            if state.records.len() == number {
                let standing = state.accuracy().robust;
                let name = attack.name.to_owned();
                state.records.push(Record { name, before: standing, after: standing, ..Record::default() });
                state.next = 0;
            }
            loop {
                let open = |i: &usize| state.statuses[*i] == ImageStatus::Robust;
                let ids: Vec<usize> = (state.next..state.statuses.len()).filter(open).take(self.batch).collect();
                let Some(&last) = ids.last() else { break };
                if run.attack(number, &ids, state, observer).await?.is_break() {
                    return Ok(());
                }
                state.next = last + 1;
                let now = self.now(state, 0.0, true);
                if observer.on_progress(now).await.is_break() {
                    return Ok(());
                }
            }
            let record = &state.records[number];
            if record.zero_gradients > 0 {
                state.flags.push(Flag::ZeroGradients(record.zero_gradients));
            }
            if record.skipped > 0 && number == 0 {
                state.flags.push(Flag::Skipped { images: record.skipped, of: record.before });
            }
            let fooled = record.before - record.after;
            if attack.name == "square" && number > 0 && fooled as f64 > SQUARE_AHEAD * state.statuses.len() as f64 {
                state.flags.push(Flag::SquareAhead { fooled, of: record.before });
            }
            state.next = state.statuses.len();
        }
        state.finished = true;
        Ok(())
    }

    /// `part` of the batch that runs is done.
    fn now<'a>(&self, state: &'a State, part: f64, batch_finished: bool) -> EvaluationProgress<'a> {
        let record = state.records.last().expect("an attack runs");
        let left = (state.next..state.statuses.len()).filter(|&i| state.statuses[i] == ImageStatus::Robust).count();
        let batch = left.min(self.batch) as f64;
        EvaluationProgress {
            state,
            done: (record.before - left) as f64 + part * batch,
            of: record.before,
            batch_finished,
        }
    }
}

/// Checks that the attacks and the target fit a model with `classes` classes.
///
/// # Errors
/// If an attack or the target does not.
pub fn check(attacks: &[NamedAttack], target: Option<Target>, classes: usize) -> Result<(), Error> {
    match target {
        Some(Target::Class(class)) if class >= classes => {
            let text = format!("there is no class {class} to reach, only {classes} classes, numbered from 0");
            return Err(Error::Unsuited(text));
        }
        Some(_) if classes < 2 => return Err(Error::Unsuited("there is one class only, no other to reach".into())),
        _ => {}
    }
    let goal = if target.is_some() { Goal::Targeted(0) } else { Goal::Untargeted(0) };
    attacks.iter().try_for_each(|attack| attack.attack.check_supported(classes, &[goal]))
}

/// An evaluation with the models that are put to it.
struct EvaluationRun<'a, M, J> {
    evaluation: &'a Evaluation<'a>,
    model: &'a M,
    eval_model: &'a J,
    device: &'a Device,
}

impl<M: Classifier, J: Classifier> EvaluationRun<'_, M, J> {
    /// A fresh count of what is asked.
    fn query<'a, C: Classifier>(&self, model: &'a C) -> ModelOracle<'a, C> {
        ModelOracle::new(model, self.device, [3, IMAGE_SIZE, IMAGE_SIZE], self.evaluation.batch)
    }

    /// Attack number `number` on one batch; leaves the state alone if it is stopped.
    async fn attack(
        &self,
        number: usize,
        ids: &[usize],
        state: &mut State,
        observer: &mut impl EvaluationObserver,
    ) -> Result<ControlFlow<()>, Error> {
        let begin = platform::milliseconds();
        let Self { evaluation, model, eval_model, .. } = *self;
        let query = self.query(model);
        let x = evaluation.pixels(ids);
        let goals: Vec<Goal> = match evaluation.target {
            None => ids.iter().map(|&i| Goal::Untargeted(evaluation.label(i))).collect(),
            Some(target) => {
                // By a query of its own: the attack's are counted.
                let clean = self.query(model).logits(&x).await?;
                let class = |(&i, z): (&usize, &[f32])| target.class(z, evaluation.label(i), evaluation.seed, i as u64);
                ids.iter().zip(clean.rows()).map(|row| Goal::Targeted(class(row))).collect()
            }
        };
        let task = AttackBatch { images: x, goals, image_ids: ids.iter().map(|&i| i as u64).collect() };
        let mut inside = Inside { evaluation, state: &*state, observer, stopped: false };
        let found = evaluation.attacks[number].attack.run(&query, &task, &mut inside).await?;
        if inside.stopped {
            return Ok(ControlFlow::Break(()));
        }
        let adversarial: Vec<f32> = found.iter().flat_map(|f| &f.x).copied().collect();
        let judged = self.query(eval_model).logits(&adversarial).await?;
        let mut felled = 0;
        for (k, (found, z)) in found.iter().zip(judged.rows()).enumerate() {
            let i = ids[k];
            // An image that is of the target's class was left as it is.
            if task.goals[k].margin(z) <= 0.0 && found.x != task.image(k) {
                state.statuses[i] = ImageStatus::FooledBy(number);
                state.predictions[i] = seen(z, evaluation.label(i));
                state.adversarial[i * IMAGE_LEN..(i + 1) * IMAGE_LEN].copy_from_slice(&found.x);
                felled += 1;
            }
        }
        let alone = |(found, goal): &(&AttackOutcome, &Goal)| {
            matches!(goal, Goal::Untargeted(_)) && found.distance == Some(0.0)
        };
        let record = &mut state.records[number];
        record.skipped += found.iter().zip(&task.goals).filter(alone).count();
        record.after -= felled;
        record.seconds += (platform::milliseconds() - begin) / 1e3;
        record.zero_gradients += query.zero_gradients();
        record.queries.iter_mut().zip(query.counts()).for_each(|(sum, n)| *sum += n);
        Ok(ControlFlow::Continue(()))
    }
}

/// Shows the steps of one batch to whoever watches the evaluation.
struct Inside<'a, W> {
    evaluation: &'a Evaluation<'a>,
    state: &'a State,
    observer: &'a mut W,
    stopped: bool,
}

impl<W: EvaluationObserver> Observer for Inside<'_, W> {
    async fn step(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        let part = progress.done as f64 / progress.total as f64;
        let flow = self.observer.on_progress(self.evaluation.now(self.state, part, false)).await;
        self.stopped = flow.is_break();
        flow
    }
}

/// A watch that is told of batch_finished batches only.
struct Settled<F>(F);

impl<F: FnMut(&State) -> ControlFlow<()>> EvaluationObserver for Settled<F> {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        if progress.batch_finished { (self.0)(progress.state) } else { ControlFlow::Continue(()) }
    }
}

/// Clean accuracy and that under one config's attacks; `progress` sees the state after each batch and may end it early.
pub async fn accuracy(
    model: &Model,
    images: &ImageSet,
    attack: &AttackConfig,
    batch: usize,
    device: &Device,
    progress: impl FnMut(&State) -> ControlFlow<()>,
) -> Result<State, Error> {
    let attack = AttackConfig { early_stop: true, ..attack.clone() };
    let attacks = build_attacks(&attack, model.classes)?;
    let (target, flags) = (None, Vec::new());
    let evaluation = Evaluation { images, attacks: &attacks, target, seed: 0, batch, flags, may_be_random: false };
    let mut state = evaluation.begin(model, device).await?;
    evaluation.run(model, model, device, &mut state, &mut Settled(progress)).await?;
    Ok(state)
}
