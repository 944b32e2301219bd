//! Training runs. A run trains step by step until a later command arrives, and evaluates its model every few steps.
//!
//! Its checkpoints have the format of the `train` program, so that each side can resume runs of the other.

use std::rc::Rc;

use burn::tensor::Device;

use super::{
    CommandError, Session,
    progress::JobReporter,
    snapshot::{EMBEDDING_IMAGES, HELD_OUT, TrackedInput},
};
use crate::{
    checkpoint::Checkpoint,
    data::{ImageSet, Splits},
    platform::{self, DeviceChoice},
    protocol::{ErrorScope, Event, ExportPurpose, InitFrom, RunInfo, RunSnapshot, SettingPairs},
    settings::Settings,
    train::{self, TrainConfig, Trainer},
};

/// Steps between two snapshots on the CPU.
const SNAPSHOT_INTERVAL: u64 = 25;
/// Steps between two snapshots on a GPU, which is idle for part of a snapshot.
const SNAPSHOT_INTERVAL_GPU: u64 = 50;
/// Steps between two reads from a GPU. A read waits until the GPU has finished all earlier work.
const READ_INTERVAL_GPU: u64 = 10;

/// A training run.
pub struct Run {
    pub(super) trainer: Trainer,
    data: Rc<Splits>,
    /// Test images that snapshots evaluate.
    pub(super) held_out: ImageSet,
    /// Test images of the embedding.
    pub(super) embedding_images: ImageSet,
    /// Step of the last snapshot.
    last_snapshot: Option<u64>,
    notes: Vec<String>,
}

impl Run {
    fn new(trainer: Trainer, data: Rc<Splits>, notes: Vec<String>) -> Self {
        let (held_out, embedding_images) =
            (data.test.stratified_sample(HELD_OUT), data.test.stratified_sample(EMBEDDING_IMAGES));
        Self { trainer, data, held_out, embedding_images, last_snapshot: None, notes }
    }

    /// Returns the number of steps of the whole run.
    fn steps(&self) -> u64 {
        self.trainer.steps(&self.data.train)
    }

    fn info(&mut self) -> RunInfo {
        let config = &self.trainer.config;
        RunInfo {
            settings: config.to_pairs(),
            architecture: self.trainer.model.architecture.to_string(),
            parameters: self.trainer.model.parameters(),
            classes: self.trainer.classes.clone(),
            step: self.trainer.step,
            steps: self.steps(),
            batch: self.trainer.batch_size(&self.data.train),
            images: self.data.train.len(),
            held_out: self.held_out.len(),
            notes: self.notes.clone(),
        }
    }

    /// Returns whether the model is to be evaluated before the next step, or after the last one.
    fn needs_snapshot(&self, interval: u64) -> bool {
        let step = self.trainer.step;
        (step.is_multiple_of(interval) || step >= self.steps()) && self.last_snapshot != Some(step)
    }

    /// Returns the progress since the last event.
    async fn progress(
        &mut self,
        timer: &TrainTimer,
        snapshot: Option<RunSnapshot>,
        finished: bool,
    ) -> Result<Event, CommandError> {
        let images_per_second = timer.images_per_second(self);
        let records = self.trainer.records(&self.data.train).await.map_err(train_failed)?;
        Ok(Event::TrainProgress {
            id: timer.id,
            step: self.trainer.step,
            records,
            snapshot: snapshot.map(Box::new),
            images_per_second,
            memory: platform::wasm_memory(),
            finished,
        })
    }
}

/// Measures the speed of one training command.
struct TrainTimer {
    /// Number of the command.
    id: u64,
    /// Step at the start of the command.
    first_step: u64,
    /// Start of the command in milliseconds, moved forward by the duration of every snapshot.
    start: f64,
}

impl TrainTimer {
    fn images_per_second(&self, run: &Run) -> f64 {
        let seconds = (platform::milliseconds() - self.start) / 1e3;
        let steps = run.trainer.step - self.first_step;
        let images = steps as f64 * run.trainer.batch_size(&run.data.train) as f64;
        if seconds > 0.0 { images / seconds } else { 0.0 }
    }
}

pub(super) fn training_error(problem: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorScope::Training, problem)
}

/// Returns the error for a run whose loss, weights or outputs are no longer finite.
pub(super) fn diverged(reason: impl std::fmt::Display) -> CommandError {
    let remedy = "lower the rate or the coefficients, then resume the run from its last checkpoint.";
    CommandError::new(ErrorScope::Diverged, format_args!("{reason}: {remedy}"))
}

fn train_failed(error: train::Error) -> CommandError {
    match error {
        train::Error::Device(e) => CommandError::new(ErrorScope::Device, format_args!("{e:?}")),
        train::Error::Diverged { step, loss } => diverged(format_args!("The loss became {loss} at step {step}")),
        error => training_error(error),
    }
}

impl Session {
    /// Creates a run with random weights or from a loaded model.
    pub(super) async fn prepare_run(
        &mut self,
        init_from: InitFrom,
        settings: &SettingPairs,
    ) -> Result<(), CommandError> {
        let mut config = TrainConfig::demo();
        config.apply(settings).map_err(training_error)?;
        let device = self.device()?.clone();
        let pretrained = match init_from {
            InitFrom::Scratch => None,
            InitFrom::Model(slot) => {
                let loaded = self.models.get(&slot).ok_or_else(|| training_error("that model is not loaded yet"))?;
                config.model = loaded.model.architecture;
                Some((loaded.model.clone(), loaded.info.classes.clone()))
            }
        };
        let data = self.splits(&config, &self.labeled)?;
        let notes = self.limit_batch(&mut config, 0);
        let trainer = match pretrained {
            None => Trainer::new(&config, &data.train, &device),
            Some((model, classes)) => {
                let arrays = model.arrays().await.map_err(|e| train_failed(train::Error::Device(e)))?;
                Trainer::fine_tune(&config, arrays, &classes, &data.train, &device)
            }
        };
        let mut trainer = trainer.map_err(train_failed)?;
        trainer.user_images = self.labeled.clone();
        self.set_run(Run::new(trainer, data, notes));
        Ok(())
    }

    /// Creates a run from a checkpoint. `batch` limits the batch size (0: the run's own).
    pub(super) fn resume_run(&mut self, name: &str, bytes: &[u8], batch: usize) -> Result<(), CommandError> {
        let invalid = |e: &dyn std::fmt::Display| training_error(format_args!("{name}: {e}"));
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| invalid(&e))?;
        let mut config = train::config_of(&checkpoint).map_err(|e| invalid(&e))?;
        let labeled = train::own_of(&checkpoint).map_err(|e| invalid(&e))?;
        let data = self.splits(&config, &labeled)?;
        let notes = self.limit_batch(&mut config, batch);
        let mut trainer = Trainer::resume(&checkpoint, &data.train, self.device()?).map_err(|e| match e {
            train::Error::Device(_) => train_failed(e),
            e => invalid(&e),
        })?;
        trainer.set_batch(config.batch, &data.train);
        self.set_run(Run::new(trainer, data, notes));
        // The next run uses the labeled images of this one, unless the user has labeled others.
        if self.labeled.is_empty() {
            self.labeled = labeled;
        }
        self.emit_training_data();
        Ok(())
    }

    fn set_run(&mut self, mut run: Run) {
        self.emit(Event::RunReady { run: Box::new(run.info()) });
        self.run = Some(run);
    }

    /// Limits the batch size to `at_most` images (0: no limit) and to what fits into the device's buffers. Returns notes
    /// about the changes, for the user.
    fn limit_batch(&self, config: &mut TrainConfig, at_most: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if at_most > 0 && at_most < config.batch {
            notes.push(format!("The batch size is {at_most} instead of {}, to use less memory.", config.batch));
            config.batch = at_most;
        }
        if let Some(buffer) = self.largest_buffer {
            let fits = largest_batch(config.model.largest_activation(), buffer);
            if fits < config.batch {
                notes.push(format!(
                    "The batch size is {fits} instead of {}, because this GPU's buffers are limited to {} MB.",
                    config.batch,
                    buffer >> 20
                ));
                config.batch = fits;
            }
        }
        notes
    }

    /// Trains until `steps` steps are done, the run is complete or a later command arrives.
    pub(super) async fn train(&mut self, id: u64, steps: u64) -> Result<(), CommandError> {
        let device: Device = self.device()?.clone();
        let mut reporter = JobReporter::new(id, self);
        let run = self.run.as_mut().ok_or_else(|| training_error("start a run first"))?;
        let tracked = self.image.as_ref().map(|image| TrackedInput {
            x: image.to_unit_range(),
            label: run.data.train.classes.iter().position(|class| image.label.as_ref() == Some(class)),
        });
        let gpu = self.device_choice != DeviceChoice::Cpu;
        let snapshot_interval = if gpu { SNAPSHOT_INTERVAL_GPU } else { SNAPSHOT_INTERVAL };
        let last_step = run.steps().min(run.trainer.step.saturating_add(steps));
        let mut timer = TrainTimer { id, first_step: run.trainer.step, start: platform::milliseconds() };
        loop {
            if !reporter.cancelled && run.needs_snapshot(snapshot_interval) {
                let start = platform::milliseconds();
                let snapshot = run.snapshot(tracked.as_ref(), gpu, &device, &mut reporter).await?;
                timer.start += platform::milliseconds() - start;
                run.last_snapshot = snapshot.as_ref().map(|snapshot| snapshot.step);
                if snapshot.is_some() {
                    let progress = run.progress(&timer, snapshot, false).await?;
                    let _ = reporter.report(Some(progress)).await;
                }
            }
            if reporter.cancelled || run.trainer.step >= last_step {
                break;
            }
            run.trainer.step(&run.data.train);
            // Reading from the CPU costs nothing, but reading from a GPU waits for it. Commands arrive in both cases.
            let reads = if gpu { run.trainer.step.is_multiple_of(READ_INTERVAL_GPU) } else { reporter.is_due() };
            if reads {
                let progress = run.progress(&timer, None, false).await?;
                let _ = reporter.report(Some(progress)).await;
            } else if reporter.is_due() {
                let _ = reporter.report(None).await;
            }
        }
        let progress = run.progress(&timer, None, true).await?;
        self.emit(progress);
        Ok(())
    }

    pub(super) fn update_settings(&mut self, settings: &SettingPairs) -> Result<(), CommandError> {
        let run = self.run.as_mut().ok_or_else(|| training_error("start a run first"))?;
        if let Some((key, _)) = settings.iter().find(|(key, _)| !TrainConfig::live(key)) {
            return Err(training_error(format_args!("{key} cannot change during a run: start another run")));
        }
        let mut config = run.trainer.config.clone();
        config.apply(settings).map_err(training_error)?;
        run.trainer.config = config;
        let info = Box::new(run.info());
        self.emit(Event::RunReady { run: info });
        Ok(())
    }

    pub(super) async fn export_run(&mut self, number: u64, purpose: ExportPurpose) -> Result<(), CommandError> {
        let export_error = |message| CommandError::new(ErrorScope::Export, message);
        let run = self.run.as_ref().ok_or_else(|| export_error("start a run first".to_owned()))?;
        let checkpoint = run.trainer.checkpoint().await.map_err(|e| match e {
            train::Error::Device(_) => train_failed(e),
            e => export_error(train_failed(e).message),
        })?;
        let (step, objective) = (run.trainer.step, run.trainer.config.objective);
        let (checkpoint, kind) = match purpose {
            ExportPurpose::AutoSave | ExportPurpose::SaveRun => (checkpoint, "run"),
            ExportPurpose::SaveModel | ExportPurpose::LoadModel => (checkpoint.without_optimizer(), "model"),
        };
        let name = format!("{objective}-step-{step}-{kind}.safetensors");
        self.emit(Event::RunExported { number, purpose, name, step, bytes: checkpoint.to_bytes() });
        Ok(())
    }
}

/// Returns the largest batch size whose widest activation fits into one buffer of `buffer` bytes after unfolding for a 3x3
/// convolution, at least 2. `values` is the number of values of that activation for one image.
pub fn largest_batch(values: usize, buffer: u64) -> usize {
    const UNFOLDED_BYTES: u64 = 9 * size_of::<f32>() as u64;
    ((buffer / (UNFOLDED_BYTES * values as u64)) as usize).max(2)
}
