//! What the worker does: carries out the page's commands on one device. No browser in here, so it is tested natively.

mod own;
mod save;
mod watch;

use std::{cell::Cell, rc::Rc};

use burn::tensor::Device;

use crate::{
    attack::{
        self, Attack, Found, Goal, Query, Task,
        autoattack::{self, Flag},
        method::{Stage, stages},
    },
    checkpoint::Checkpoint,
    config::{AttackConfig, AttackKind, Settings},
    data::{Pictures, SIDE, picture::Upright, synthetic},
    evaluate::Evaluation,
    model::Model,
    platform::{self, DeviceChoice},
    protocol::{Command, Event, ModelInfo, PictureInfo, Subject},
    verify,
};
use watch::{Line, Watch, WatchSet};

/// Pictures of an evaluation that are attacked at once: few, so that the page hears often.
const EVALUATION_BATCH: usize = 16;

/// The number of the last attack or stop, shared with whoever receives commands while an attack runs.
pub type Latest = Rc<Cell<u64>>;

/// One visitor's device, model and picture.
#[derive(Default)]
pub struct Session {
    device: Option<Device>,
    model: Option<(Model, ModelInfo)>,
    picture: Option<PictureInfo>,
    /// The picture's file, if it has one.
    upright: Option<Upright>,
    /// Raised by the receiver of commands: an attack that sees a new value ends itself.
    pub latest: Latest,
}

/// Why a command could not be carried out.
struct Refusal(Subject, String);

impl Refusal {
    fn new(subject: Subject) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |problem| Self(subject, problem.to_string())
    }
}

impl Session {
    /// Carries out one command; every answer goes through `emit`. Bad input changes nothing.
    pub async fn handle(&mut self, choice: DeviceChoice, command: Command, emit: &dyn Fn(Event)) {
        let outcome = match command {
            Command::Open => self.open(choice, emit).await,
            Command::LoadModel { name, bytes } => self.load_model(name, &bytes, emit).await,
            Command::LoadPicture { name, bytes } => self.load_picture(name, &bytes, emit).await,
            Command::Crop { crop } => self.crop(crop, emit).await,
            Command::LoadSample { index } => self.load_sample(index, emit).await,
            Command::Attack { id, settings, target } => self.attack(id, &settings, target, emit).await,
            Command::Evaluate { id, settings, pictures } => self.evaluate(id, &settings, pictures, emit).await,
            Command::Save { part, original, attacked, settings, target } => {
                self.save(part, &original, &attacked, &settings, target, emit).await
            }
            Command::Stop => Ok(()),
            Command::Verify { bytes } => self.verify(&bytes, emit).await,
        };
        if let Err(Refusal(subject, text)) = outcome {
            emit(Event::Refused { subject, text });
        }
    }

    fn device(&self) -> Result<&Device, Refusal> {
        self.device.as_ref().ok_or_else(|| Refusal(Subject::Device, "the device is not open yet".into()))
    }

    async fn open(&mut self, choice: DeviceChoice, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        if self.device.is_none() {
            let opened = platform::open(choice).await.map_err(|e| Refusal(Subject::Device, e.to_string()))?;
            self.device = Some(opened.device);
            emit(Event::Opened { name: opened.name, emulated: opened.emulated });
        }
        Ok(())
    }

    async fn load_model(&mut self, name: String, bytes: &[u8], emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let refuse = Refusal::new(Subject::Model);
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| refuse(&format!("{name}: {e}")))?;
        let mut model =
            Model::from_arrays(&checkpoint.model(), self.device()?).map_err(|e| refuse(&format!("{name}: {e}")))?;
        let info = ModelInfo {
            architecture: model.architecture.to_string(),
            objective: checkpoint.metadata.get("objective").cloned(),
            parameters: model.parameters(),
            classes: checkpoint.classes(model.classes),
            name,
        };
        emit(Event::ModelLoaded { model: info.clone() });
        self.model = Some((model, info));
        self.classify(emit).await
    }

    async fn load_sample(&mut self, index: u64, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        if index >= synthetic::TEST_PICTURES {
            let text = format!("the embedded set has no picture number {index}");
            return Err(Refusal(Subject::Picture, text));
        }
        let Pictures { pixels, labels, .. } = synthetic::test_picture(index);
        let info = PictureInfo {
            name: format!("sample {index}"),
            pixels,
            original: [SIDE as u32; 2],
            crop: None,
            label: Some(labels[0] as usize),
            notes: Vec::new(),
        };
        self.upright = None;
        self.take(info, emit).await
    }

    async fn take(&mut self, picture: PictureInfo, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        emit(Event::PictureLoaded { picture: picture.clone() });
        self.picture = Some(picture);
        self.classify(emit).await
    }

    /// Classifies the clean picture, once there are a model and a picture.
    async fn classify(&self, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        if let (Some((model, _)), Some(picture)) = (&self.model, &self.picture) {
            let x: Vec<f32> = picture.pixels.iter().map(|&v| f32::from(v) / 255.0).collect();
            let logits = Query::new(model, self.device()?, [3, SIDE, SIDE], 1).logits(&x).await;
            let logits = logits.map_err(|e| match e {
                attack::Error::NotFinite => Refusal(Subject::Model, e.to_string()),
                e => failed(e),
            })?;
            emit(Event::Classified { probabilities: softmax(logits.row(0)) });
        }
        Ok(())
    }

    /// The model, and the attacks that settings name.
    fn plan(
        &self,
        settings: &[(String, String)],
        refuse: &dyn Fn(&dyn std::fmt::Display) -> Refusal,
    ) -> Result<(&Model, AttackConfig, Vec<Stage>), Refusal> {
        let mut config = AttackConfig::default();
        for (key, value) in settings {
            config.set(key, value).map_err(|e| refuse(&e))?;
        }
        let (model, _) = self.model.as_ref().ok_or_else(|| refuse(&"load a model first"))?;
        let stages = stages(&config, model.classes).map_err(|e| refuse(&e))?;
        Ok((model, config, stages))
    }

    async fn attack(
        &self,
        id: u64,
        settings: &[(String, String)],
        target: Option<usize>,
        emit: &dyn Fn(Event),
    ) -> Result<(), Refusal> {
        let refuse = Refusal::new(Subject::Attack);
        let begin = platform::milliseconds();
        let (model, config, stages) = self.plan(settings, &refuse)?;
        let picture = self.picture.as_ref().ok_or_else(|| refuse(&"load a picture first"))?;
        let query = Query::new(model, self.device()?, [3, SIDE, SIDE], 1);
        let x: Vec<f32> = picture.pixels.iter().map(|&v| f32::from(v) / 255.0).collect();
        let looks = Query::new(model, self.device()?, [3, SIDE, SIDE], 1);
        let seen = looks.logits(&x).await.map_err(failed)?;
        let goal = match target {
            Some(class) if class < model.classes => Goal::Reach(class),
            Some(class) => return Err(refuse(&format!("the model has no class number {class}"))),
            // Without a target the attack leaves the class that the model sees, right or wrong.
            None => Goal::Avoid(argmax(seen.row(0))),
        };
        let clean = goal.margin(seen.row(0));
        let mut flags = autoattack::left_out(config.attack, model.classes);
        if config.attack.is_suite() {
            flags.extend(autoattack::check_outputs(&looks, &x).await.map_err(failed)?);
        }
        let task = Task { x, goals: vec![goal], ids: vec![0] };
        for stage in &stages {
            stage.method.suits(model.classes, &task.goals).map_err(|e| refuse(&e))?;
        }
        let mut watch = Watch::new(Line::new(id, &self.latest, emit), &query, looks, &task);
        let mut worst: Option<Found> = None;
        for stage in &stages {
            watch.begin(stage.name, clean);
            let found = stage.method.run(&query, &task, &mut watch).await.map_err(failed)?;
            let found = found.into_iter().next().ok_or_else(|| refuse(&"there is no picture"))?;
            watch.finish(&found);
            let distance = worst.iter().filter_map(|w| w.distance).chain(found.distance).reduce(f32::min);
            worst = Some(match worst {
                Some(worst) if worst.margin <= found.margin => Found { distance, ..worst },
                _ => Found { distance, ..found },
            });
            if watch.line.stopped || worst.as_ref().is_some_and(Found::fallen) {
                break;
            }
        }
        if query.zero_gradients() > 0 {
            flags.push(Flag::ZeroGradients(query.zero_gradients()));
        }
        let worst = worst.ok_or_else(|| refuse(&"there is no attack that suits this model"))?;
        let (stopped, result) = (watch.line.stopped, watch.result(&worst).await?);
        let flags = flags.iter().map(ToString::to_string).collect();
        let milliseconds = platform::milliseconds() - begin;
        emit(Event::AttackDone { id, stopped, milliseconds, result, traces: watch.traces, flags });
        Ok(())
    }

    async fn evaluate(
        &self,
        id: u64,
        settings: &[(String, String)],
        pictures: usize,
        emit: &dyn Fn(Event),
    ) -> Result<(), Refusal> {
        let refuse = Refusal::new(Subject::Evaluation);
        let (model, config, stages) = self.plan(settings, &refuse)?;
        let set = synthetic::generate(0, 0, pictures).test;
        let (_, info) = self.model.as_ref().ok_or_else(|| refuse(&"load a model first"))?;
        if info.classes != set.classes {
            return Err(refuse(&format!(
                "the embedded set is of {}; this model tells other classes apart, and can be attacked on single pictures",
                set.classes.join(", ")
            )));
        }
        let evaluation = Evaluation {
            pictures: &set,
            stages: &stages,
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

    async fn verify(&self, bytes: &[u8], emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let begin = platform::milliseconds();
        let checks = verify::verify(bytes, self.device()?).await.map_err(|e| Refusal::new(Subject::Fixture)(&e))?;
        emit(Event::Verified { checks, milliseconds: platform::milliseconds() - begin });
        Ok(())
    }
}

/// A damaged model is the model's fault, all else the device's.
fn failed(error: attack::Error) -> Refusal {
    let subject = if matches!(error, attack::Error::Device(_)) { Subject::Device } else { Subject::Attack };
    Refusal(subject, error.to_string())
}

fn softmax(z: &[f32]) -> Vec<f32> {
    let top = z.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = z.iter().map(|z| (z - top).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
