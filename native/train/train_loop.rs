//! Training loop of one objective: steps, progress, checkpoints and the evaluation of epochs. A run may be interrupted
//! and resumed any number of times.

use std::{
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use indicatif::ProgressBar;
use otjr::{
    checkpoint::Checkpoint,
    data::{ImageSet, Splits},
    evaluate::State,
    model::{Architecture, Model, head},
    platform::Opened,
    train::{
        Record, TrainConfig, Trainer,
        validation::{self, Validation},
    },
};
use otjr_cli::{console::Console, interrupt::Interrupt};

use crate::run_dir::RunDirectory;

/// Steps between two reads from the device.
const READ_EVERY: u64 = 10;

/// Data sets and initial weights of a run.
pub struct Data {
    pub splits: Splits,
    /// Images that are held out of the training set, to select an epoch.
    pub held_out: ImageSet,
    /// Images of the second data set.
    pub extra: Arc<ImageSet>,
    /// Initial model, if `--weights` was given.
    pub weights: Option<Checkpoint>,
}

/// Devices, interruption and console of a run.
pub struct TrainEnv<'a> {
    /// Device that holds the run.
    pub opened: &'a Opened,
    /// Further devices that compute parts of each batch.
    pub others: &'a [Opened],
    pub interrupt: &'a Interrupt,
    pub console: Console,
}

/// Result of a finished run.
pub struct Trained {
    pub model: Model,
    pub steps: u64,
    pub log: Vec<Record>,
    pub validations: Vec<Validation>,
    /// Training time of all sessions.
    pub seconds: f64,
}

/// Trains until the run is finished. Returns `None` if it was interrupted; its checkpoint is on disk then.
pub fn train(
    config: &TrainConfig,
    data: &Data,
    env: &TrainEnv,
    folder: &Path,
    save_every: Duration,
) -> anyhow::Result<Option<Trained>> {
    let mut run = RunLoop::start(config, data, env, folder, save_every)?;
    loop {
        if !run.validate_epoch()? {
            run.bar.abandon();
            return Ok(None);
        }
        if run.is_over() {
            break;
        }
        run.step()?;
        let stop = env.interrupt.raised();
        run.read_and_save(stop)?;
        if stop {
            run.bar.abandon();
            return Ok(None);
        }
    }
    run.bar.finish();
    run.finish().map(Some)
}

/// State of the loop.
struct RunLoop<'a> {
    config: &'a TrainConfig,
    data: &'a Data,
    env: &'a TrainEnv<'a>,
    trainer: Trainer,
    /// Steps of the whole run.
    steps: u64,
    steps_per_epoch: u64,
    directory: RunDirectory,
    bar: ProgressBar,
    save_every: Duration,
    /// Start of this session.
    started: Instant,
    saved: Instant,
    /// Time and step of the last read from the device.
    last_read: (Instant, u64),
}

impl<'a> RunLoop<'a> {
    /// Starts a session: resumes from the checkpoint in `folder`, or starts a new run.
    fn start(
        config: &'a TrainConfig,
        data: &'a Data,
        env: &'a TrainEnv<'a>,
        folder: &Path,
        save_every: Duration,
    ) -> anyhow::Result<Self> {
        let mut trainer = create_trainer(config, data, env, folder)?;
        trainer.extra_data = data.extra.clone();
        trainer.replicas = env.others.iter().map(|other| other.device.clone()).collect();
        let steps = trainer.steps(&data.splits.train);
        let steps_per_epoch = steps / config.epochs as u64;
        let directory = RunDirectory::open(folder, trainer.step, steps_per_epoch)?;
        let bar = (env.console.progress_bar(steps, "{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?)
            .with_position(trainer.step)
            .with_prefix(config.objective.to_string());
        bar.reset_eta();
        let now = Instant::now();
        let last_read = (now, trainer.step);
        let (started, saved) = (now, now);
        Ok(Self {
            config,
            data,
            env,
            trainer,
            steps,
            steps_per_epoch,
            directory,
            bar,
            save_every,
            started,
            saved,
            last_read,
        })
    }

    /// Returns whether an epoch has just ended whose held-out accuracy is measured.
    fn at_validation(&self) -> bool {
        !self.data.held_out.is_empty() && self.trainer.step.is_multiple_of(self.steps_per_epoch)
    }

    /// Evaluates the epoch that has just ended, if it has not been evaluated yet. Returns false if interrupted.
    fn validate_epoch(&mut self) -> anyhow::Result<bool> {
        let epoch = self.trainer.step / self.steps_per_epoch;
        let last = self.directory.validations.last().map_or(0, |v| v.epoch);
        if !self.at_validation() || last >= epoch {
            return Ok(true);
        }
        let progress = |_: &State| self.env.interrupt.flow();
        let validated = validation::validate(&self.trainer, epoch, &self.data.held_out, progress);
        let Some(validation) = pollster::block_on(validated)? else { return Ok(false) };
        let [clean, robust] = [validation.clean, validation.robust].map(|share| 100.0 * share);
        let text = format!("epoch {epoch}: clean {clean:.1} %, PGD-10 {robust:.1} % of the held-out images");
        self.bar.suspend(|| self.env.console.print(text));
        self.directory.add_validation(&self.trainer, validation)?;
        Ok(true)
    }

    fn is_over(&self) -> bool {
        self.trainer.step == self.steps || validation::is_over(&self.directory.validations, self.config.patience)
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let images = &self.data.splits.train;
        if self.env.others.is_empty() {
            self.trainer.step(images);
            Ok(())
        } else {
            multi_device_step(&mut self.trainer, images)
        }
    }

    /// Reads the records of the last steps and saves a checkpoint, if either is due. `stop` forces both.
    fn read_and_save(&mut self, stop: bool) -> anyhow::Result<()> {
        let step = self.trainer.step;
        let save = stop || self.saved.elapsed() >= self.save_every || step == self.steps || self.at_validation();
        if save || step.is_multiple_of(READ_EVERY) {
            self.read_records()?;
        }
        if save {
            if self.bar.is_hidden() {
                // Without a terminal, print a line for log files.
                let text = self.directory.records.last().map(describe).unwrap_or_default();
                let (objective, steps) = (self.config.objective, self.steps);
                self.env.console.print(format_args!("{objective} {step}/{steps} steps: {text}"));
            }
            self.directory.save(&self.trainer)?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    fn read_records(&mut self) -> anyhow::Result<()> {
        let train = &self.data.splits.train;
        let records = pollster::block_on(self.trainer.records(train))?;
        let (time, step) = self.last_read;
        let images = (self.trainer.step - step) as f64 * self.trainer.batch_size(train) as f64;
        let rate = images / time.elapsed().as_secs_f64();
        self.last_read = (Instant::now(), self.trainer.step);
        if let Some(record) = records.last() {
            self.bar.set_message(format!("{}  {rate:.0} images/s", describe(record)));
        }
        self.directory.append(records, rate)?;
        self.bar.set_position(self.trainer.step);
        Ok(())
    }

    /// Writes the model and returns the result of the run.
    fn finish(self) -> anyhow::Result<Trained> {
        let history = &self.directory.validations;
        if let (Some(best), Some(last)) = (validation::best(history), history.last()) {
            let [at_best, at_last] = [best.robust, last.robust].map(|share| 100.0 * share);
            self.env.console.print(format_args!(
                "Kept epoch {} of {}: PGD-10 {at_best:.1} %; last epoch {at_last:.1} %: robust overfitting cost {:.1} points",
                best.epoch,
                last.epoch,
                at_best - at_last
            ));
        }
        let model = self.directory.finish(&self.trainer, &self.env.opened.device)?;
        let seconds = self.directory.earlier_seconds() + self.started.elapsed().as_secs_f64();
        let RunDirectory { records: log, validations, .. } = self.directory;
        Ok(Trained { model, steps: self.trainer.step, log, validations, seconds })
    }
}

/// Creates the trainer from the checkpoint in `folder`, from the given weights, or with random weights.
fn create_trainer(config: &TrainConfig, data: &Data, env: &TrainEnv, folder: &Path) -> anyhow::Result<Trainer> {
    let (train, device) = (&data.splits.train, &env.opened.device);
    if let Some(checkpoint) = RunDirectory::checkpoint(folder)? {
        return Ok(Trainer::resume(&checkpoint, train, device)?);
    }
    let Some(initial) = &data.weights else { return Ok(Trainer::new(config, train, device)?) };
    let arrays = initial.model_arrays();
    let known = initial.class_names(Architecture::infer(&arrays)?.1);
    let (classes, kept) = (train.classes.len(), head::reusable_rows(&known, &train.classes));
    env.console.print(format_args!(
        "Starting from the given weights; {} of {classes} rows of the last layer are initialized randomly",
        classes - kept
    ));
    Ok(Trainer::fine_tune(config, arrays, &known, train, device)?)
}

/// Takes a step on several devices. If a device fails, for example because its host is gone, burn panics. The panic is
/// turned into an error, and the run can be resumed from its checkpoint.
fn multi_device_step(trainer: &mut Trainer, data: &ImageSet) -> anyhow::Result<()> {
    let message = Arc::new(Mutex::new(String::new()));
    let first_message = message.clone();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let mut first = first_message.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            let place = panic.location().map_or(String::new(), |place| format!(" ({place})"));
            *first = panic.payload_as_str().unwrap_or("no reason was given").to_owned() + &place;
        }
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(|| trainer.step(data)));
    panic::set_hook(hook);
    result.map_err(|_| anyhow!("one of the devices failed: {}", message.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Returns for example `loss 1.234, CE 1.100, distance 0.0020, R 0.300`.
fn describe(record: &Record) -> String {
    let mut text = format!("loss {:.3}, CE {:.3}", record.loss, record.ce);
    if let Some(distance) = record.distance {
        text += &format!(", distance {distance:.4}");
    }
    if let Some(jacobian) = record.jacobian {
        text += &format!(", R {jacobian:.3}");
    }
    text
}
