//! Trains a model for the page: a run at a time, step after step until a later command comes, with a look at it now and
//! then. Everything that the native program's checkpoints hold is in its files, and they go on from each other's.

use std::rc::Rc;

use super::{
    CommandError, Session,
    look::{HELD_OUT, REFERENCE},
    watch::Line,
};
use crate::{
    checkpoint::Checkpoint,
    data::{ImageSet, Splits},
    platform::{self, DeviceChoice},
    protocol::{ErrorScope, Event, Origin, Purpose, RunInfo, RunSnapshot},
    settings::Settings,
    train::{self, TrainConfig, Trainer},
};

/// Steps between two looks: a GPU stands still for one.
const LOOK_EVERY: u64 = 25;
const LOOK_EVERY_GPU: u64 = 50;
/// Steps between two reads from a GPU.
const READ_EVERY: u64 = 10;

/// A training run.
pub struct Run {
    pub(super) trainer: Trainer,
    data: Rc<Splits>,
    pub(super) held_out: ImageSet,
    /// For the plane of the latents.
    pub(super) reference: ImageSet,
    /// The step at which it was looked at last.
    looked: Option<u64>,
    notes: Vec<String>,
}

impl Run {
    fn new(trainer: Trainer, data: Rc<Splits>, notes: Vec<String>) -> Self {
        let (held_out, reference) = (data.test.stratified_sample(HELD_OUT), data.test.stratified_sample(REFERENCE));
        Self { trainer, data, held_out, reference, looked: None, notes }
    }

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
}

/// Training as a refusal tells of it.
pub(super) fn refuse(problem: impl std::fmt::Display) -> CommandError {
    CommandError(ErrorScope::Training, problem.to_string())
}

/// The run's numbers are no longer finite.
pub(super) fn diverged(how: impl std::fmt::Display) -> CommandError {
    let text = format!("{how}: lower the rate or the coefficients, then “Go on” takes up the last copy of the run.");
    CommandError(ErrorScope::Diverged, text)
}

/// A device that fails is lost for all; the rest is the run's own.
fn failed(error: train::Error) -> CommandError {
    match error {
        train::Error::Device(e) => CommandError(ErrorScope::Device, format!("{e:?}")),
        train::Error::Diverged { step, loss } => diverged(format_args!("The loss became {loss} at step {step}")),
        error => refuse(error),
    }
}

impl Session {
    pub(super) async fn begin(
        &mut self,
        origin: Origin,
        settings: &[(String, String)],
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let mut config = TrainConfig::demo();
        config.apply(settings).map_err(refuse)?;
        let device = self.device()?.clone();
        let model = match origin {
            Origin::Scratch => None,
            Origin::Model(slot) => {
                let (model, info) = self.models.get(&slot).ok_or_else(|| refuse("that model is not loaded yet"))?;
                config.model = model.architecture;
                Some((model.clone(), info.classes.clone()))
            }
        };
        let data = self.splits(&config, &self.own)?;
        let notes = self.fit(&mut config, 0);
        let mut trainer = match model {
            None => Trainer::new(&config, &data.train, &device),
            Some((model, known)) => {
                let arrays = model.arrays().await.map_err(|e| failed(train::Error::Device(e)))?;
                Trainer::fine_tune(&config, arrays, &known, &data.train, &device)
            }
        }
        .map_err(failed)?;
        trainer.user_images = self.own.clone();
        self.prepared(Run::new(trainer, data, notes), emit);
        Ok(())
    }

    pub(super) fn resume(
        &mut self,
        name: &str,
        bytes: &[u8],
        batch: usize,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let named = |e: &dyn std::fmt::Display| refuse(format!("{name}: {e}"));
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| named(&e))?;
        let mut config = train::config_of(&checkpoint).map_err(|e| named(&e))?;
        let own = train::own_of(&checkpoint).map_err(|e| named(&e))?;
        let data = self.splits(&config, &own)?;
        let notes = self.fit(&mut config, batch);
        let mut trainer = Trainer::resume(&checkpoint, &data.train, self.device()?).map_err(|e| match e {
            train::Error::Device(_) => failed(e),
            e => named(&e),
        })?;
        trainer.set_batch(config.batch, &data.train);
        self.prepared(Run::new(trainer, data, notes), emit);
        // The next run learns from them too, if there are no others.
        if self.own.is_empty() {
            self.own = own;
        }
        self.tell_data(emit);
        Ok(())
    }

    fn prepared(&mut self, mut run: Run, emit: &dyn Fn(Event)) {
        emit(Event::RunReady { run: Box::new(run.info()) });
        self.run = Some(run);
    }

    /// Makes the batch fit this device and `at_most` images (0: any number); what was changed, for people.
    fn fit(&self, config: &mut TrainConfig, at_most: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if at_most > 0 && at_most < config.batch {
            notes.push(format!("{at_most} images a step in place of {}, to need less memory.", config.batch));
            config.batch = at_most;
        }
        if let Some(largest) = self.largest_buffer {
            let fits = largest_batch(config.model.largest_activation(), largest);
            if fits < config.batch {
                notes.push(format!(
                    "{fits} images a step in place of {}: this GPU's buffers end at {} MB.",
                    config.batch,
                    largest >> 20
                ));
                config.batch = fits;
            }
        }
        notes
    }

    /// Trains until `steps` steps or the run are done, or another command comes.
    pub(super) async fn train(
        &mut self,
        id: u64,
        steps: u64,
        choice: DeviceChoice,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let latest = self.latest.clone();
        let device = self.device()?.clone();
        let run = self.run.as_mut().ok_or_else(|| refuse("begin a run first"))?;
        let class = |label: &String| run.data.train.classes.iter().position(|class| class == label);
        let followed = self.image.as_ref().map(|p| (p.to_unit_range(), p.label.as_ref().and_then(class)));
        let gpu = choice != DeviceChoice::Cpu;
        let every = if gpu { LOOK_EVERY_GPU } else { LOOK_EVERY };
        let mut line = Line::new(id, &latest, emit);
        let end = run.steps().min(run.trainer.step.saturating_add(steps));
        let (began, first, mut looking) = (platform::milliseconds(), run.trainer.step, 0.0);
        loop {
            let now = platform::milliseconds();
            let due = run.trainer.step.is_multiple_of(every) || run.trainer.step >= run.steps();
            if due && run.looked != Some(run.trainer.step) && !line.stopped {
                let look = run.look(followed.as_ref(), gpu, &device, &mut line).await?;
                run.looked = look.as_ref().map(|look| look.step);
                looking += platform::milliseconds() - now;
                if let Some(look) = look {
                    let speed = run.speed(first, began + looking);
                    let told = run.told(id, Some(look), speed, false).await?;
                    let _ = line.tell(Some(told)).await;
                }
            }
            if line.stopped || run.trainer.step >= end {
                break;
            }
            run.trainer.step(&run.data.train);
            // Reading from the CPU costs nothing, but waiting for a GPU does. A message is let in at least as often.
            let read = if gpu { run.trainer.step.is_multiple_of(READ_EVERY) } else { line.due() };
            if read {
                let speed = run.speed(first, began + looking);
                let told = run.told(id, None, speed, false).await?;
                let _ = line.tell(Some(told)).await;
            } else if line.due() {
                let _ = line.tell(None).await;
            }
        }
        let speed = run.speed(first, began + looking);
        emit(run.told(id, None, speed, true).await?);
        Ok(())
    }

    pub(super) fn tune(&mut self, settings: &[(String, String)], emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        let run = self.run.as_mut().ok_or_else(|| refuse("begin a run first"))?;
        let mut config = run.trainer.config.clone();
        if let Some((key, _)) = settings.iter().find(|(key, _)| !TrainConfig::live(key)) {
            return Err(refuse(format!("{key} is fixed while a run is under way: begin another run")));
        }
        config.apply(settings).map_err(refuse)?;
        run.trainer.config = config;
        emit(Event::RunReady { run: Box::new(run.info()) });
        Ok(())
    }

    pub(super) async fn export(
        &mut self,
        number: u64,
        purpose: Purpose,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let run = self.run.as_ref().ok_or_else(|| CommandError(ErrorScope::Export, "begin a run first".into()))?;
        let checkpoint = run.trainer.checkpoint().await.map_err(|e| match e {
            train::Error::Device(_) => failed(e),
            e => CommandError(ErrorScope::Export, failed(e).1),
        })?;
        let (step, objective) = (run.trainer.step, run.trainer.config.objective);
        let (checkpoint, kind) = match purpose {
            Purpose::Keep | Purpose::SaveRun => (checkpoint, "run"),
            Purpose::SaveModel | Purpose::Try => (checkpoint.without_optimizer(), "model"),
        };
        let name = format!("{objective}-step-{step}-{kind}.safetensors");
        emit(Event::Exported { number, purpose, name, step, bytes: checkpoint.to_bytes() });
        Ok(())
    }
}

impl Run {
    /// Images a second since `first`, if the time of looking is left out of `began`.
    fn speed(&self, first: u64, began: f64) -> f64 {
        let seconds = (platform::milliseconds() - began) / 1e3;
        let images = (self.trainer.step - first) as f64 * self.trainer.batch_size(&self.data.train) as f64;
        if seconds > 0.0 { images / seconds } else { 0.0 }
    }

    async fn told(
        &mut self,
        id: u64,
        look: Option<RunSnapshot>,
        speed: f64,
        over: bool,
    ) -> Result<Event, CommandError> {
        let records = self.trainer.records(&self.data.train).await.map_err(failed)?;
        let step = self.trainer.step;
        Ok(Event::TrainProgress {
            id,
            step,
            records,
            look: look.map(Box::new),
            speed,
            memory: platform::wasm_memory(),
            over,
        })
    }
}

/// The largest batch whose widest activation of `values` numbers an image, unfolded for a 3x3 convolution, fits into a
/// buffer of so many bytes; at least 2.
pub fn largest_batch(values: usize, buffer: u64) -> usize {
    const UNFOLDED: u64 = 9 * size_of::<f32>() as u64;
    ((buffer / (UNFOLDED * values as u64)) as usize).max(2)
}
