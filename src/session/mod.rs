//! What the worker does: carries out the page's commands on one device. No browser in here, so it is tested natively.

mod data;
mod explore;
mod look;
mod own;
mod queue;
mod save;
pub mod training;
mod watch;

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use burn::tensor::Device;

use crate::{
    attack::{
        self, Attack, AttackBatch, AttackConfig, AttackKind, AttackOutcome, Goal, ModelOracle,
        any::{NamedAttack, build_attacks},
        autoattack::{self, Flag},
    },
    checkpoint::Checkpoint,
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, crop::Crop, image::DecodedImage, synthetic},
    evaluate::Evaluation,
    explore::embedding::Embedding,
    model::Model,
    platform::{self, DeviceChoice},
    prediction::top,
    protocol::{Command, ErrorScope, Event, ImageInfo, ModelInfo, Slot, Transfer},
    settings::Settings,
    verify,
};
use data::Brought;
pub use data::{Files, Source};
use explore::{Attacked, Twins};
pub use queue::Queue;
use training::Run;
use watch::{EvaluationObserver, Line, WatchSet};

/// Images of an evaluation that are attacked at once: few, so that the page hears often.
const EVALUATION_BATCH: usize = 16;

/// The number of the last attack or stop, shared with whoever receives commands while an attack runs.
pub type CurrentJob = Rc<Cell<u64>>;

/// One user's device, models and image.
#[derive(Default)]
pub struct Session {
    device: Option<Device>,
    models: BTreeMap<Slot, Loaded>,
    /// Of the last attack on the image, by model.
    attacked: BTreeMap<Slot, Attacked>,
    /// Made when first asked for, by model.
    embeddings: BTreeMap<Slot, Embedding>,
    twins: BTreeMap<Slot, Twins>,
    image: Option<ImageInfo>,
    /// The image's file, if it has one.
    decoded_image: Option<DecodedImage>,
    /// The set that the user brought to train on, and images that they labeled.
    brought: Option<Brought>,
    /// What views compare with where a model tells apart other classes than the embedded set's; empty until it is there.
    reference: ImageSet,
    own: ImageSet,
    run: Option<Run>,
    /// Bytes of the device's largest buffer, where that is known.
    largest_buffer: Option<u64>,
    /// The files beside the next command.
    pub files: Option<Files>,
    /// Raised by the receiver of commands: an attack that sees a new value ends itself.
    pub latest: CurrentJob,
}

/// A model, and what to say of it.
type Loaded = (Model, ModelInfo);

/// Why a command could not be carried out.
struct CommandError(ErrorScope, String);

impl CommandError {
    fn new(subject: ErrorScope) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |problem| Self(subject, problem.to_string())
    }
}

impl Session {
    /// Carries out one command; every answer goes through `emit`. Bad input changes nothing.
    pub async fn handle(&mut self, choice: DeviceChoice, command: Command, emit: &dyn Fn(Event)) {
        let outcome = match command {
            Command::Open => self.open(choice, emit).await,
            Command::LoadModel { slot, name, bytes } => self.load_model(slot, name, &bytes, emit).await,
            Command::ForgetBuiltin => {
                self.models.retain(|slot, _| matches!(slot, Slot::Custom | Slot::Run));
                Ok(())
            }
            Command::LoadImage { name, label, bytes } => self.load_image(name, label, &bytes, emit).await,
            Command::LoadReference { bytes } => self.load_reference(&bytes),
            Command::Crop { crop } => self.crop(crop, emit).await,
            Command::LoadSample { index } => self.load_sample(index, emit).await,
            Command::Attack { id, slot, settings, target } => self.attack(id, slot, &settings, target, emit).await,
            Command::Evaluate { id, slot, settings, images } => self.evaluate(id, slot, &settings, images, emit).await,
            Command::Explore { id, slot, probe } => self.explore(id, slot, probe, emit).await,
            Command::Save { slot, part, original, attacked, settings, target } => {
                self.save(slot, part, (&original, &attacked), (&settings, target), emit).await
            }
            Command::LoadData { name } => self.load_data(name, emit),
            Command::Label { class, pixels } => self.label(class.trim(), &pixels, emit),
            Command::Unlabel => {
                self.own = ImageSet::default();
                self.tell_data(emit);
                Ok(())
            }
            Command::Begin { origin, settings } => self.begin(origin, &settings, emit).await,
            Command::Resume { name, bytes, batch } => self.resume(&name, &bytes, batch, emit),
            Command::Train { id, steps } => self.train(id, steps, choice, emit).await,
            Command::Tune { settings } => self.tune(&settings, emit),
            Command::Export { number, purpose } => self.export(number, purpose, emit).await,
            Command::Stop => Ok(()),
            Command::Verify { bytes } => self.verify(&bytes, emit).await,
        };
        if let Err(CommandError(subject, text)) = outcome {
            emit(Event::Failed { subject, text });
        }
    }

    fn device(&self) -> Result<&Device, CommandError> {
        self.device.as_ref().ok_or_else(|| CommandError(ErrorScope::Device, "the device is not open yet".into()))
    }

    async fn open(&mut self, choice: DeviceChoice, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        if self.device.is_none() {
            let opened = platform::open(choice).await.map_err(|e| CommandError(ErrorScope::Device, e.to_string()))?;
            (self.device, self.largest_buffer) = (Some(opened.device), opened.largest_buffer);
            emit(Event::DeviceReady { name: opened.name, emulated: opened.emulated });
        }
        Ok(())
    }

    async fn load_model(
        &mut self,
        slot: Slot,
        name: String,
        bytes: &[u8],
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let refuse = CommandError::new(ErrorScope::Model);
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| refuse(&format!("{name}: {e}")))?;
        let mut model = Model::from_arrays(&checkpoint.model_arrays(), self.device()?)
            .map_err(|e| refuse(&format!("{name}: {e}")))?;
        let info = ModelInfo {
            architecture: model.architecture.to_string(),
            objective: checkpoint.metadata.get("objective").cloned(),
            parameters: model.parameters(),
            classes: checkpoint.class_names(model.classes),
            name,
        };
        emit(Event::ModelLoaded { slot, model: info.clone() });
        self.models.insert(slot, (model, info));
        self.attacked.remove(&slot);
        self.embeddings.remove(&slot);
        self.twins.remove(&slot);
        if slot == Slot::Run { Ok(()) } else { self.classify(slot, emit).await }
    }

    async fn load_sample(&mut self, index: u64, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        if index >= synthetic::TEST_IMAGE_COUNT {
            let text = format!("the embedded set has no image number {index}");
            return Err(CommandError(ErrorScope::Image, text));
        }
        let ImageSet { pixels, labels, mut classes } = synthetic::test_image(index);
        let info = ImageInfo {
            name: format!("sample {index}"),
            pixels,
            original: [IMAGE_SIZE as u32; 2],
            crop: None,
            label: Some(classes.swap_remove(labels[0].into())),
            notes: Vec::new(),
        };
        self.decoded_image = None;
        self.take(info, emit).await
    }

    fn load_reference(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let refuse = CommandError::new(ErrorScope::Reference);
        let sheet = DecodedImage::decode(bytes, "the photos to compare with").map_err(|e| refuse(&e))?;
        let side = IMAGE_SIZE as u32;
        let one = |i| sheet.crop(Crop { x: 0, y: i * side, side }).pixels;
        let pixels: Vec<u8> = (0..sheet.size()[1] / side).flat_map(one).collect();
        // Their classes are what a model says they are.
        self.reference = ImageSet { labels: vec![0; pixels.len() / IMAGE_LEN], pixels, classes: Vec::new() };
        (self.embeddings, self.twins) = Default::default();
        Ok(())
    }

    async fn take(&mut self, image: ImageInfo, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        emit(Event::ImageLoaded { image: image.clone() });
        self.image = Some(image);
        self.attacked.clear();
        for slot in self.models.keys().filter(|slot| **slot != Slot::Run) {
            self.classify(*slot, emit).await?;
        }
        Ok(())
    }

    /// Classifies the clean image, once there are the model and an image.
    async fn classify(&self, slot: Slot, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        if let (Some((model, _)), Some(image)) = (self.models.get(&slot), &self.image) {
            let probabilities = self.probabilities(model, &image.to_unit_range()).await.map_err(|e| match e {
                attack::Error::NotFinite => CommandError(ErrorScope::Model, e.to_string()),
                e => failed(e),
            })?;
            emit(Event::Classified { slot, probabilities });
        }
        Ok(())
    }

    /// What a model makes of one image.
    async fn probabilities(&self, model: &Model, x: &[f32]) -> Result<Vec<f32>, attack::Error> {
        let device = self.device.as_ref().ok_or_else(|| attack::Error::Device("it is not open yet".into()))?;
        let logits = ModelOracle::new(model, device, [3, IMAGE_SIZE, IMAGE_SIZE], 1).logits(x).await?;
        Ok(softmax(logits.row(0)))
    }

    /// The model, and the attacks that settings name.
    fn plan(
        &self,
        slot: Slot,
        settings: &[(String, String)],
        refuse: &dyn Fn(&dyn std::fmt::Display) -> CommandError,
    ) -> Result<(&Loaded, AttackConfig, Vec<NamedAttack>), CommandError> {
        let config = AttackConfig::from_pairs(settings).map_err(|e| refuse(&e))?;
        let loaded = self.models.get(&slot).ok_or_else(|| refuse(&"load a model first"))?;
        let attacks = build_attacks(&config, loaded.0.classes).map_err(|e| refuse(&e))?;
        Ok((loaded, config, attacks))
    }

    async fn attack(
        &mut self,
        id: u64,
        slot: Slot,
        settings: &[(String, String)],
        target: Option<usize>,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let refuse = CommandError::new(ErrorScope::Attack);
        let begin = platform::milliseconds();
        let ((model, _), config, attacks) = self.plan(slot, settings, &refuse)?;
        let image = self.image.as_ref().ok_or_else(|| refuse(&"load an image first"))?;
        let query = ModelOracle::new(model, self.device()?, [3, IMAGE_SIZE, IMAGE_SIZE], 1);
        let x = image.to_unit_range();
        let looks = ModelOracle::new(model, self.device()?, [3, IMAGE_SIZE, IMAGE_SIZE], 1);
        let seen = looks.logits(&x).await.map_err(failed)?;
        let goal = match target {
            Some(class) if class < model.classes => Goal::Targeted(class),
            Some(class) => return Err(refuse(&format!("the model has no class number {class}"))),
            // Without a target the attack leaves the class that the model sees, right or wrong.
            None => Goal::Untargeted(top(seen.row(0))),
        };
        let clean = goal.margin(seen.row(0));
        let mut flags = autoattack::left_out(config.attack, model.classes);
        if config.attack.is_suite() {
            flags.extend(autoattack::check_outputs(&looks, &x).await.map_err(failed)?);
        }
        let task = AttackBatch { images: x, goals: vec![goal], image_ids: vec![0] };
        for named in &attacks {
            named.attack.check_supported(model.classes, &task.goals).map_err(|e| refuse(&e))?;
        }
        let mut watch = EvaluationObserver::new(Line::new(id, &self.latest, emit), &query, looks, &task);
        let mut worst: Option<AttackOutcome> = None;
        for named in &attacks {
            watch.begin(named.name, clean);
            let found = named.attack.run(&query, &task, &mut watch).await.map_err(failed)?;
            let found = found.into_iter().next().ok_or_else(|| refuse(&"there is no image"))?;
            watch.finish(&found);
            let distance = worst.iter().filter_map(|w| w.distance).chain(found.distance).reduce(f32::min);
            worst = Some(match worst {
                Some(worst) if worst.margin <= found.margin => AttackOutcome { distance, ..worst },
                _ => AttackOutcome { distance, ..found },
            });
            if watch.line.stopped || worst.as_ref().is_some_and(AttackOutcome::succeeded) {
                break;
            }
        }
        if query.zero_gradients() > 0 {
            flags.push(Flag::ZeroGradients(query.zero_gradients()));
        }
        let worst = worst.ok_or_else(|| refuse(&"there is no attack that suits this model"))?;
        let (stopped, result) = (watch.line.stopped, watch.result(&worst).await?);
        let (traces, path) = (watch.traces, watch.path);
        let flags = flags.iter().map(ToString::to_string).collect();
        let transfer = self.transfer(slot, &result.pixels).await.map_err(failed)?;
        let milliseconds = platform::milliseconds() - begin;
        emit(Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer });
        self.attacked.insert(slot, Attacked { config, goal, x_adv: worst.x, path });
        Ok(())
    }

    /// What the other models make of the image attacked under one, and that one of theirs.
    async fn transfer(&self, slot: Slot, x_adv: &[f32]) -> Result<Vec<Transfer>, attack::Error> {
        let others = || self.models.keys().copied().filter(move |other| ![slot, Slot::Run].contains(other));
        let there = others().map(|judge| (slot, judge, x_adv));
        let back = others().filter_map(|under| Some((under, slot, &self.attacked.get(&under)?.x_adv[..])));
        let mut all = Vec::new();
        for (under, judge, x) in there.chain(back) {
            all.push(Transfer { under, judge, probabilities: self.probabilities(&self.models[&judge].0, x).await? });
        }
        Ok(all)
    }

    async fn evaluate(
        &self,
        id: u64,
        slot: Slot,
        settings: &[(String, String)],
        images: usize,
        emit: &dyn Fn(Event),
    ) -> Result<(), CommandError> {
        let refuse = CommandError::new(ErrorScope::Evaluation);
        let ((model, info), config, attacks) = self.plan(slot, settings, &refuse)?;
        let brought = self.brought.as_ref().filter(|brought| info.classes.starts_with(&brought.splits.test.classes));
        let set = match brought {
            Some(brought) => brought.splits.test.stratified_sample(images),
            None => synthetic::generate(0, 0, images).test,
        };
        // A run may have learned of classes of the user's own beside the set's.
        if !info.classes.starts_with(&set.classes) {
            return Err(refuse(&format!(
                "the embedded set is of {}; this model tells other classes apart, and can be attacked on single images",
                set.classes.join(", ")
            )));
        }
        let evaluation = Evaluation {
            images: &set,
            attacks: &attacks,
            target: None,
            seed: config.seed,
            batch: EVALUATION_BATCH,
            flags: autoattack::left_out(config.attack, model.classes),
            may_be_random: config.attack == AttackKind::AutoattackRand,
        };
        let device = self.device()?;
        let failed = |error: attack::Error| match error {
            attack::Error::Device(_) => failed(error),
            error => refuse(&error),
        };
        let mut state = evaluation.begin(model, device).await.map_err(failed)?;
        let mut watch = WatchSet(Line::new(id, &self.latest, emit));
        evaluation.run(model, model, device, &mut state, &mut watch).await.map_err(failed)?;
        let stopped = watch.0.stopped;
        emit(Event::Evaluated { id, report: state.report(1.0), over: true, stopped });
        Ok(())
    }

    async fn verify(&self, bytes: &[u8], emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        let begin = platform::milliseconds();
        let checks =
            verify::verify(bytes, self.device()?).await.map_err(|e| CommandError::new(ErrorScope::Fixture)(&e))?;
        emit(Event::Verified { checks, milliseconds: platform::milliseconds() - begin });
        Ok(())
    }
}

/// A damaged model is the model's fault, all else the device's.
fn failed(error: attack::Error) -> CommandError {
    let subject = if matches!(error, attack::Error::Device(_)) { ErrorScope::Device } else { ErrorScope::Attack };
    CommandError(subject, error.to_string())
}

fn softmax(z: &[f32]) -> Vec<f32> {
    let top = z.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = z.iter().map(|z| (z - top).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}
