//! The worker's logic: carries out the page's commands on one device.
//!
//! The module does not depend on the browser, so that the tests can run it natively.

mod attack;
mod data;
mod export;
mod image;
mod models;
mod probe;
mod progress;
mod queue;
mod snapshot;
pub mod training;

use std::{cell::Cell, collections::BTreeMap, fmt::Display, rc::Rc};

use burn::tensor::Device;

use crate::{
    attack::{Error as AttackError, ModelOracle},
    data::{IMAGE_SIZE, ImageSet, image::DecodedImage},
    model::Model,
    platform::{self, DeviceChoice},
    protocol::{Command, ErrorScope, Event, ImageInfo, Slot},
    verify,
};
use data::UserDataset;
pub use data::{Files, Source};
use models::LoadedModel;
pub use queue::Queue;
use training::Run;

/// Number of the job that may run, or 0. A running job stops when this is no longer its own number. It is shared with the
/// receiver of commands, which changes it while a job runs.
pub type CurrentJob = Rc<Cell<u64>>;

/// Receiver of a session's events.
type EventSink = Rc<dyn Fn(Event)>;

/// The device, models, image and training run of one page.
pub struct Session {
    device_choice: DeviceChoice,
    sink: EventSink,
    device: Option<Device>,
    /// Size of the device's largest buffer in bytes, if known.
    largest_buffer: Option<u64>,
    models: BTreeMap<Slot, LoadedModel>,
    /// The current image.
    image: Option<ImageInfo>,
    /// The file of the current image, if it has one.
    image_file: Option<DecodedImage>,
    /// Reference images for models whose classes differ from those of the built-in data set. Empty until loaded.
    reference: ImageSet,
    /// The uploaded data set, if any.
    user_dataset: Option<UserDataset>,
    /// Images that the user labeled, as additional training data.
    labeled: ImageSet,
    run: Option<Run>,
    /// The files attached to the next command.
    pub files: Option<Files>,
    /// Number of the current job. Changing it cancels the running job.
    pub current_job: CurrentJob,
}

/// Reason why a command failed, for the user.
struct CommandError {
    scope: ErrorScope,
    message: String,
}

impl CommandError {
    fn new(scope: ErrorScope, problem: impl Display) -> Self {
        Self { scope, message: problem.to_string() }
    }
}

impl Session {
    /// Creates a session that opens the chosen device on [`Command::OpenDevice`] and sends its events to `sink`.
    pub fn new(device_choice: DeviceChoice, sink: impl Fn(Event) + 'static) -> Self {
        Self {
            device_choice,
            sink: Rc::new(sink),
            device: None,
            largest_buffer: None,
            models: BTreeMap::new(),
            image: None,
            image_file: None,
            reference: ImageSet::default(),
            user_dataset: None,
            labeled: ImageSet::default(),
            run: None,
            files: None,
            current_job: CurrentJob::default(),
        }
    }

    /// Carries out one command. A command that fails has no effect and emits [`Event::Failed`].
    pub async fn handle(&mut self, command: Command) {
        let outcome = match command {
            Command::OpenDevice => self.open_device().await,
            Command::LoadModel { slot, name, bytes } => self.load_model(slot, name, &bytes).await,
            Command::UnloadBuiltinModels => self.unload_builtin_models(),
            Command::LoadImage { name, label, bytes } => self.load_image(name, label, &bytes).await,
            Command::LoadReferenceImages { bytes } => self.load_reference_images(&bytes),
            Command::CropImage { crop } => self.crop_image(crop).await,
            Command::LoadSample { index } => self.load_sample(index).await,
            Command::Attack { id, slot, settings, target } => self.attack(id, slot, &settings, target).await,
            Command::Evaluate { id, slot, settings, images } => self.evaluate(id, slot, &settings, images).await,
            Command::Explore { id, slot, probe } => self.explore(id, slot, probe).await,
            Command::ExportImage(request) => self.export_image(&request).await,
            Command::LoadDataset { name } => self.load_dataset(name),
            Command::AddLabeledImage { class, pixels } => self.add_labeled_image(class.trim(), &pixels),
            Command::ClearLabeledImages => self.clear_labeled_images(),
            Command::PrepareRun { init_from, settings } => self.prepare_run(init_from, &settings).await,
            Command::ResumeRun { name, bytes, batch } => self.resume_run(&name, &bytes, batch),
            Command::Train { id, steps } => self.train(id, steps).await,
            Command::UpdateSettings { settings } => self.update_settings(&settings),
            Command::ExportRun { number, purpose } => self.export_run(number, purpose).await,
            // The receiver of commands has stopped the job already.
            Command::Stop => Ok(()),
            Command::Verify { bytes } => self.verify(&bytes).await,
        };
        if let Err(CommandError { scope, message }) = outcome {
            self.emit(Event::Failed { scope, message });
        }
    }

    fn emit(&self, event: Event) {
        (self.sink)(event);
    }

    async fn open_device(&mut self) -> Result<(), CommandError> {
        if self.device.is_none() {
            let opened =
                platform::open(self.device_choice).await.map_err(|e| CommandError::new(ErrorScope::Device, e))?;
            self.device = Some(opened.device);
            self.largest_buffer = opened.largest_buffer;
            self.emit(Event::DeviceReady { name: opened.name, emulated: opened.emulated });
        }
        Ok(())
    }

    fn device(&self) -> Result<&Device, CommandError> {
        self.device.as_ref().ok_or_else(|| CommandError::new(ErrorScope::Device, "the device is not open yet"))
    }

    /// Returns an oracle for a model that evaluates up to `batch` images at once.
    fn oracle<'a>(&self, model: &'a Model, batch: usize) -> Result<ModelOracle<'a, Model>, CommandError> {
        Ok(ModelOracle::new(model, self.device()?, [3, IMAGE_SIZE, IMAGE_SIZE], batch))
    }

    async fn verify(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let start = platform::milliseconds();
        let checks =
            verify::verify(bytes, self.device()?).await.map_err(|e| CommandError::new(ErrorScope::Fixture, e))?;
        self.emit(Event::Verified { checks, milliseconds: platform::milliseconds() - start });
        Ok(())
    }
}

/// Converts an error of an attack. Only a device error concerns the device.
fn attack_failed(error: AttackError) -> CommandError {
    let scope = if matches!(error, AttackError::Device(_)) { ErrorScope::Device } else { ErrorScope::Attack };
    CommandError::new(scope, error)
}

/// Returns the class probabilities of logits.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}
