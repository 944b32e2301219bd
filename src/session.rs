//! What the worker does: carries out the page's commands on one device. No browser in here, so it is tested natively.

use std::{cell::Cell, ops::ControlFlow, rc::Rc};

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use crate::{
    attack::{Classifier, Goal, Observer, Progress, pgd::Pgd},
    batch::{one_hot, pixels_of},
    checkpoint::Checkpoint,
    config::{AttackConfig, Settings},
    data::{Pictures, SIDE, VALUES, picture, synthetic},
    model::Model,
    platform::{self, DeviceChoice},
    protocol::{AttackResult, Command, Event, ModelInfo, PictureInfo, Subject},
    verify,
};

/// Milliseconds between two looks at a running attack: often enough to be live, seldom enough to cost nothing.
const LOOK_EVERY: f64 = 60.0;

/// The number of the last attack or stop, shared with whoever receives commands while an attack runs.
pub type Latest = Rc<Cell<u64>>;

/// One visitor's device, model and picture.
#[derive(Default)]
pub struct Session {
    device: Option<Device>,
    model: Option<(Model, ModelInfo)>,
    picture: Option<PictureInfo>,
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
            Command::LoadSample { index } => self.load_sample(index, emit).await,
            Command::Attack { id, settings, target } => self.attack(id, &settings, target, emit).await,
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

    async fn load_picture(&mut self, name: String, bytes: &[u8], emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let decoded = picture::decode(bytes, &name).map_err(|e| Refusal::new(Subject::Picture)(&e))?;
        let info =
            PictureInfo { name, pixels: decoded.pixels, original: decoded.original, label: None, notes: decoded.notes };
        self.take(info, emit).await
    }

    async fn load_sample(&mut self, index: u64, emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let Pictures { pixels, labels, .. } = synthetic::test_picture(index);
        let info = PictureInfo {
            name: format!("sample {index}"),
            pixels,
            original: [SIDE as u32; 2],
            label: Some(labels[0] as usize),
            notes: Vec::new(),
        };
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
            let logits = model.logits(pixels_of(&picture.pixels, self.device()?));
            let probabilities = read(softmax(logits, 1)).await?;
            if probabilities.iter().any(|p| !p.is_finite()) {
                return Err(Refusal(Subject::Model, "the model's output is not a number: it is damaged".into()));
            }
            emit(Event::Classified { probabilities });
        }
        Ok(())
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
        let mut config = AttackConfig::default();
        for (key, value) in settings {
            config.set(key, value).map_err(|e| refuse(&e))?;
        }
        let (model, _) = self.model.as_ref().ok_or_else(|| refuse(&"load a model first"))?;
        let picture = self.picture.as_ref().ok_or_else(|| refuse(&"load a picture first"))?;
        let device = self.device()?;
        let x = pixels_of(&picture.pixels, device);
        let goal = match target {
            Some(class) if class < model.classes => Goal::Reach(one_hot(&[class], model.classes, device)),
            Some(class) => return Err(refuse(&format!("the model has no class number {class}"))),
            // Without a target the attack leaves the class that the model sees, right or wrong.
            None => {
                let logits = read(model.logits(x.clone())).await?;
                Goal::Avoid(one_hot(&[argmax(&logits)], model.classes, device))
            }
        };
        let mut watch = Watch { session: self, id, x: x.clone(), emit, looked: begin, stopped: false };
        let worst = Pgd::from(&config).run(model, x, &goal, &[0], &mut watch).await;
        let stopped = watch.stopped;
        let result = watch.result(worst.x, worst.margin).await?;
        emit(Event::AttackDone { id, stopped, milliseconds: platform::milliseconds() - begin, result });
        Ok(())
    }

    async fn verify(&self, bytes: &[u8], emit: &dyn Fn(Event)) -> Result<(), Refusal> {
        let begin = platform::milliseconds();
        let checks = verify::verify(bytes, self.device()?).await.map_err(|e| Refusal::new(Subject::Fixture)(&e))?;
        emit(Event::Verified { checks, milliseconds: platform::milliseconds() - begin });
        Ok(())
    }
}

/// Shows a running attack to the page, and ends it when a later command has come.
struct Watch<'a> {
    session: &'a Session,
    id: u64,
    x: Tensor<4>,
    emit: &'a dyn Fn(Event),
    looked: f64,
    stopped: bool,
}

impl Watch<'_> {
    async fn result(&self, x_adv: Tensor<4>, margin: Tensor<2>) -> Result<AttackResult, Refusal> {
        let (model, _) = self.session.model.as_ref().expect("an attack has a model");
        let d = (x_adv.clone() - self.x.clone()).reshape([1, VALUES]);
        // One transfer: pixels, probabilities, margin, norms.
        let parts = vec![
            x_adv.clone().reshape([1, VALUES]),
            softmax(model.logits(x_adv), 1),
            margin,
            d.clone().abs().max_dim(1),
            d.square().sum_dim(1).sqrt(),
        ];
        let mut pixels = read(Tensor::cat(parts, 1)).await?;
        let mut rest = pixels.split_off(VALUES);
        let [margin, linf, l2] = rest.split_off(model.classes)[..] else {
            unreachable!("three numbers were put there")
        };
        Ok(AttackResult { pixels, probabilities: rest, reached: margin < 0.0, linf, l2 })
    }
}

impl Observer for Watch<'_> {
    async fn step(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        if progress.done == progress.total || platform::milliseconds() - self.looked < LOOK_EVERY {
            return ControlFlow::Continue(());
        }
        if let Ok(result) = self.result(progress.worst.x.clone(), progress.worst.margin.clone()).await {
            (self.emit)(Event::AttackProgress { id: self.id, done: progress.done, total: progress.total, result });
        }
        platform::yield_now().await;
        self.looked = platform::milliseconds();
        self.stopped = self.session.latest.get() != self.id;
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Refusal> {
    let data: Result<TensorData, _> = tensor.into_data_async().await;
    let data = data.map_err(|e| Refusal(Subject::Device, format!("the device failed: {e:?}")))?;
    Ok(data.iter::<f32>().collect())
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
