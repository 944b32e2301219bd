//! Trains a model for the page: a run at a time, step after step until a later command comes, with a look at it now and
//! then. Everything that the native program's checkpoints hold is in its files, and they go on from each other's.

use std::rc::Rc;

use burn::tensor::{Device, Tensor, TensorData, Transaction};

use super::{Refusal, Session, watch::Line};
use crate::{
    attack::training::perturb,
    batch::one_hot,
    checkpoint::Checkpoint,
    config::{Objective, ObjectiveConfig, Pixels, Settings, TrainConfig},
    data::{Pictures, Splits},
    explore::{embedding::Embedding, layers, question::Way, transport},
    model::{Model, Pass, head},
    platform::{self, DeviceChoice},
    prediction::top,
    protocol::{Event, Followed, Look, Origin, Purpose, RunInfo, Seen, Subject},
    random::{self, Purpose as Draw},
    train::{self, Trainer},
};

/// Pictures that a look judges the model by, and the steps of the attack on them.
const HELD_OUT: usize = 64;
const LOOK_ATTACK: usize = 10;
/// Of those, attacked at once: few, so that a command does not wait long.
const CHUNK: usize = 16;
/// Pictures that span the plane of the latents; cells along each side of its map; projections of a batch's transport.
const REFERENCE: usize = 200;
const CELLS: usize = 48;
const PROJECTIONS: usize = 32;
/// Pictures of a batch that are shown.
const SHOWN: usize = 8;
/// Steps between two looks: a GPU stands still for one.
const LOOK_EVERY: u64 = 25;
const LOOK_EVERY_GPU: u64 = 50;
/// Steps between two reads from a GPU.
const READ_EVERY: u64 = 10;

/// A training run.
pub struct Run {
    trainer: Trainer,
    data: Rc<Splits>,
    held_out: Pictures,
    /// For the plane of the latents.
    reference: Pictures,
    /// The step at which it was looked at last.
    looked: Option<u64>,
    notes: Vec<String>,
}

impl Run {
    fn new(trainer: Trainer, data: Rc<Splits>, notes: Vec<String>) -> Self {
        let (held_out, reference) = (data.test.spread(HELD_OUT), data.test.spread(REFERENCE));
        Self { trainer, data, held_out, reference, looked: None, notes }
    }

    fn steps(&self) -> u64 {
        self.trainer.steps(&self.data.train)
    }

    fn info(&mut self) -> RunInfo {
        let config = &self.trainer.config;
        RunInfo {
            settings: config.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            architecture: self.trainer.model.architecture.to_string(),
            parameters: self.trainer.model.parameters(),
            classes: self.trainer.classes.clone(),
            step: self.trainer.step,
            steps: self.steps(),
            batch: self.trainer.batch_size(&self.data.train),
            pictures: self.data.train.len(),
            held_out: self.held_out.len(),
            notes: self.notes.clone(),
        }
    }
}

/// Training as a refusal tells of it.
fn refuse(problem: impl std::fmt::Display) -> Refusal {
    Refusal(Subject::Training, problem.to_string())
}

/// A device that fails is lost for all; the rest is the run's own.
fn failed(error: train::Error) -> Refusal {
    match error {
        train::Error::Device(e) => Refusal(Subject::Device, format!("{e:?}")),
        error => refuse(error),
    }
}

/// Of an attack or a view.
fn lost(error: crate::attack::Error) -> Refusal {
    match error {
        crate::attack::Error::Device(text) => Refusal(Subject::Device, text),
        error => refuse(error),
    }
}

impl Session {
    pub(super) async fn begin(
        &mut self,
        origin: Origin,
        settings: &[(String, String)],
        emit: &dyn Fn(Event),
    ) -> Result<(), Refusal> {
        let mut config = TrainConfig::demo();
        for (key, value) in settings {
            config.set(key, value).map_err(refuse)?;
        }
        let device = self.device()?.clone();
        let model = match origin {
            Origin::Scratch => None,
            Origin::Model(slot) => {
                let (model, info) = self.models.get(&slot).ok_or_else(|| refuse("that model is not loaded yet"))?;
                config.model = model.architecture;
                Some((model.clone(), info.classes.clone()))
            }
        };
        let data = self.splits(&config)?;
        let notes = self.fit(&mut config, 0);
        let classes = &data.train.classes;
        let mut trainer = match model {
            None => Trainer::new(&config, &data.train, &device),
            Some((model, known)) => {
                // The classes that it knows keep their weights if the set begins with them.
                let kept = if classes.starts_with(&known) { known.len() } else { 0 };
                let arrays = model.arrays().await.map_err(|e| failed(train::Error::Device(e)))?;
                let arrays = head::widen(arrays, kept, classes.len(), config.seed).map_err(refuse)?;
                let model = Model::from_arrays(&arrays, &device).map_err(refuse)?;
                Trainer::with_model(&config, model, &data.train, &device)
            }
        }
        .map_err(failed)?;
        trainer.own = self.own.clone();
        self.prepared(Run::new(trainer, data, notes), emit);
        Ok(())
    }

    pub(super) fn resume(
        &mut self,
        name: &str,
        bytes: &[u8],
        batch: usize,
        emit: &dyn Fn(Event),
    ) -> Result<(), Refusal> {
        let named = |e: &dyn std::fmt::Display| refuse(format!("{name}: {e}"));
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| named(&e))?;
        let mut config = train::config_of(&checkpoint).map_err(|e| named(&e))?;
        let own = train::own_of(&checkpoint).map_err(|e| named(&e))?;
        let before = std::mem::replace(&mut self.own, own);
        let run = self.splits(&config).and_then(|data| {
            let notes = self.fit(&mut config, batch);
            let mut trainer = Trainer::resume(&checkpoint, &data.train, self.device()?).map_err(|e| match e {
                train::Error::Device(_) => failed(e),
                e => named(&e),
            })?;
            trainer.set_batch(config.batch, &data.train);
            Ok(Run::new(trainer, data, notes))
        });
        if run.is_err() {
            self.own = before;
        }
        self.prepared(run?, emit);
        self.tell_data(emit);
        Ok(())
    }

    fn prepared(&mut self, mut run: Run, emit: &dyn Fn(Event)) {
        emit(Event::Prepared { run: Box::new(run.info()) });
        self.run = Some(run);
    }

    /// Makes the batch fit this device and `at_most` pictures (0: any number); what was changed, for people.
    fn fit(&self, config: &mut TrainConfig, at_most: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if at_most > 0 && at_most < config.batch {
            notes.push(format!("{at_most} pictures a step in place of {}, to need less memory.", config.batch));
            config.batch = at_most;
        }
        if let Some(largest) = self.largest_buffer {
            let fits = largest_batch(config.model.widest(), largest);
            if fits < config.batch {
                notes.push(format!(
                    "{fits} pictures a step in place of {}: this GPU's buffers end at {} MB.",
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
    ) -> Result<(), Refusal> {
        let latest = self.latest.clone();
        let device = self.device()?.clone();
        let followed = self.picture.as_ref().map(|p| (p.unit(), p.label));
        let run = self.run.as_mut().ok_or_else(|| refuse("begin a run first"))?;
        let gpu = choice != DeviceChoice::Cpu;
        let every = if gpu { LOOK_EVERY_GPU } else { LOOK_EVERY };
        let mut line = Line::new(id, &latest, emit);
        let end = run.steps().min(run.trainer.step.saturating_add(steps));
        let (began, first, mut looking) = (platform::milliseconds(), run.trainer.step, 0.0);
        loop {
            let now = platform::milliseconds();
            let due = run.trainer.step.is_multiple_of(every) || run.trainer.step == run.steps();
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

    pub(super) fn tune(&mut self, settings: &[(String, String)], emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let run = self.run.as_mut().ok_or_else(|| refuse("begin a run first"))?;
        let mut config = run.trainer.config.clone();
        for (key, value) in settings {
            if !TrainConfig::live(key) {
                return Err(refuse(format!("{key} is fixed while a run is under way: begin another run")));
            }
            config.set(key, value).map_err(refuse)?;
        }
        run.trainer.config = config;
        emit(Event::Prepared { run: Box::new(run.info()) });
        Ok(())
    }

    pub(super) async fn export(&mut self, number: u64, purpose: Purpose, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let run = self.run.as_ref().ok_or_else(|| Refusal(Subject::Export, "begin a run first".into()))?;
        let checkpoint = run.trainer.checkpoint().await.map_err(failed)?;
        let (step, objective) = (run.trainer.step, run.trainer.config.objective);
        let (checkpoint, kind) = match purpose {
            Purpose::Keep | Purpose::SaveRun => (checkpoint, "run"),
            Purpose::SaveModel | Purpose::Try => (checkpoint.without_optimiser(), "model"),
        };
        let name = format!("{objective}-step-{step}-{kind}.safetensors");
        emit(Event::Exported { number, purpose, name, step, bytes: checkpoint.to_bytes() });
        Ok(())
    }
}

impl Run {
    /// Pictures a second since `first`, if the time of looking is left out of `began`.
    fn speed(&self, first: u64, began: f64) -> f64 {
        let seconds = (platform::milliseconds() - began) / 1e3;
        let pictures = (self.trainer.step - first) as f64 * self.trainer.batch_size(&self.data.train) as f64;
        if seconds > 0.0 { pictures / seconds } else { 0.0 }
    }

    async fn told(&mut self, id: u64, look: Option<Look>, speed: f64, over: bool) -> Result<Event, Refusal> {
        let records = self.trainer.records(&self.data.train).await.map_err(failed)?;
        let step = self.trainer.step;
        Ok(Event::Trained { id, step, records, look: look.map(Box::new), speed, memory: platform::memory(), over })
    }

    /// Looks at the model as it is; none if another command comes meanwhile.
    async fn look(
        &self,
        picture: Option<&(Vec<f32>, Option<usize>)>,
        gpu: bool,
        device: &Device,
        line: &mut Line<'_>,
    ) -> Result<Option<Look>, Refusal> {
        let mut right = [0usize; 2];
        for ids in (0..self.held_out.len()).collect::<Vec<_>>().chunks(if gpu { HELD_OUT } else { CHUNK }) {
            let labels: Vec<usize> = ids.iter().map(|&i| usize::from(self.held_out.labels[i])).collect();
            let x = crate::batch::pixels_of(&self.held_out.select(ids).pixels, device);
            let [z, a, _] = self.pair(&x, &labels, device).await?;
            let c = self.trainer.model.classes;
            for ((z, a), label) in z.chunks(c).zip(a.chunks(c)).zip(labels) {
                let clean = top(z) == label;
                right[0] += usize::from(clean);
                right[1] += usize::from(clean && top(a) == label);
            }
            if line.tell(None).await.is_break() {
                return Ok(None);
            }
        }
        let [clean, robust] = right.map(|n| n as f32 / self.held_out.len() as f32);
        let batch = self.seen(device).await?;
        let followed = match picture {
            Some((x, label)) => Some(self.follow(x, *label, device).await?),
            None => None,
        };
        Ok(Some(Look { step: self.trainer.step, clean, robust, batch, followed }))
    }

    /// Logits `[B, C]` of pictures with these labels, of the pictures attacked within the radius of training, and those
    /// pictures, `[B, 3, 32, 32]`. The attack stays on the device.
    async fn pair(&self, x: &Tensor<4>, labels: &[usize], device: &Device) -> Result<[Vec<f32>; 3], Refusal> {
        let model = &self.trainer.model;
        let radius = self.trainer.config.coefficients.train_epsilon;
        let attack = ObjectiveConfig {
            train_epsilon: radius,
            train_step: Pixels(radius.0 / 4.0),
            train_steps: LOOK_ATTACK,
            ..ObjectiveConfig::default()
        };
        let mut rng = random::stream(self.trainer.config.seed, Draw::Attack, u64::MAX);
        let y = one_hot(labels, model.classes, device);
        let x_adv = perturb(model, x, &y, Objective::Pgd, &attack, &mut rng);
        read([logits(model, x), logits(model, &x_adv), flat(&x_adv)]).await
    }

    /// The batch of the last step.
    async fn seen(&self, device: &Device) -> Result<Option<Seen>, Refusal> {
        let Some((batch, x_adv)) = &self.trainer.last else { return Ok(None) };
        let model = &self.trainer.model;
        let c = model.classes;
        let n = SHOWN.min(batch.x.dims()[0]);
        let first = |x: &Tensor<4>| flat(&x.clone().narrow(0, 0, n));
        let y = batch.y.clone().reshape([-1]);
        let [z, a, x, twins, y] =
            read([logits(model, &batch.x), logits(model, x_adv), first(&batch.x), first(x_adv), y]).await?;
        let transport = match self.trainer.config.objective.needs_attack() {
            true => {
                let theta = transport::projections(self.trainer.step, c, PROJECTIONS, device).await.map_err(lost)?;
                Some(transport::transport(&z, &a, &theta, c).map_err(lost)?)
            }
            false => None,
        };
        let tops = |rows: &[f32]| rows.chunks(c).take(n).map(|row| top(row) as u16).collect();
        let bytes = |x: Vec<f32>| x.into_iter().map(|v| (255.0 * v).round() as u8).collect();
        let (labels, clean, attacked) = (tops(&y), tops(&z), tops(&a));
        Ok(Some(Seen { x: bytes(x), x_adv: bytes(twins), labels, clean, attacked, transport }))
    }

    /// What the model makes of a picture, as its class `label` or, if that is not known, the class that it sees.
    async fn follow(&self, x: &[f32], label: Option<usize>, device: &Device) -> Result<Followed, Refusal> {
        let model = &self.trainer.model;
        let pixels: Tensor<4> = Tensor::from_data(TensorData::new(x.to_vec(), [1, 3, 32, 32]), device);
        let label = match label.filter(|&label| label < model.classes) {
            Some(label) => label,
            None => {
                let [z] = read([logits(model, &pixels)]).await?;
                top(&z)
            }
        };
        let [z, a, x_adv] = self.pair(&pixels, &[label], device).await?;
        let shifts = layers::shifts(model, device, x, &x_adv).await.map_err(lost)?;
        let Pictures { pixels, labels, .. } = &self.reference;
        let values: Vec<f32> = pixels.iter().map(|&v| f32::from(v) / 255.0).collect();
        let reference = Embedding::new(model, device, &values, labels, CELLS).await.map_err(lost)?;
        let path = reference.project(model, device, &[x, &x_adv].concat()).await.map_err(lost)?;
        let way = Way { reference, path };
        Ok(Followed { clean: super::softmax(&z), attacked: super::softmax(&a), shifts, way })
    }
}

fn logits(model: &Model, x: &Tensor<4>) -> Tensor<1> {
    model.forward(x.clone(), &mut Pass::inference()).logits.value.reshape([-1])
}

fn flat(x: &Tensor<4>) -> Tensor<1> {
    x.clone().reshape([-1])
}

/// Reads several tensors back at once.
async fn read<const N: usize>(tensors: [Tensor<1>; N]) -> Result<[Vec<f32>; N], Refusal> {
    let read = tensors.into_iter().fold(Transaction::default(), |t, tensor| t.register(tensor));
    let data = read.execute_async().await.map_err(|e| Refusal(Subject::Device, format!("{e:?}")))?;
    let mut data = data.into_iter().map(|data| data.iter::<f32>().collect());
    Ok(std::array::from_fn(|_| data.next().unwrap_or_default()))
}

/// The largest batch whose widest activation of `values` numbers a picture, unfolded for a 3x3 convolution, fits into a
/// buffer of so many bytes; at least 2.
pub fn largest_batch(values: usize, buffer: u64) -> usize {
    const UNFOLDED: u64 = 9 * size_of::<f32>() as u64;
    ((buffer / (UNFOLDED * values as u64)) as usize).max(2)
}
