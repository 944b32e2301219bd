//! Messages between the page and its worker.
//!
//! The page sends [`Command`]s and the worker answers with [`Event`]s, both encoded by [`encode`]. Page and worker always
//! come from the same build, so the encoding may change between versions. Nothing in this module is stored.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    data::{crop::Crop, to_unit_range},
    evaluate::Report,
    explore::{
        layers::LayerShift,
        probe::{LatentPath, Probe, ProbeResult},
        transport::TransportPlan,
    },
    settings::Pair,
    train::Record,
    verify::GroupCheck,
};

/// Identifies one of the models that the worker holds at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// The built-in robust model.
    #[default]
    Robust,
    /// The built-in model without adversarial training.
    Standard,
    /// The built-in model with plain adversarial training (PGD), as a baseline for the robust one.
    Adversarial,
    /// An uploaded model.
    Custom,
    /// The model of a training run, loaded only while runs are compared. It never classifies the user's image.
    Run,
}

/// Settings as pairs of key and value, as in the URL and on the command line.
pub type SettingPairs = Vec<Pair>;

/// Initial weights of a training run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitFrom {
    /// Random weights.
    #[default]
    Scratch,
    /// The weights and the architecture of a loaded model. The architecture in the settings is ignored.
    Model(Slot),
}

/// Purpose of an exported file of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportPurpose {
    /// A checkpoint for the browser's storage, to resume from after a crash or a reload.
    AutoSave,
    /// A checkpoint for the user to download; `train --resume` accepts it.
    SaveRun,
    /// The model alone, for the user to download.
    SaveModel,
    /// The model alone, to load it on the page as [`Slot::Custom`].
    LoadModel,
}

/// A message from the page to the worker.
#[allow(missing_docs, reason = "the variants describe their fields where the names do not suffice")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Open the compute device of this build (CPU or GPU).
    OpenDevice,
    /// Load a safetensors file as the model of a slot.
    LoadModel { slot: Slot, name: String, bytes: Vec<u8> },
    /// Unload the built-in models. The page sends this before it loads those of another image domain.
    UnloadBuiltinModels,
    /// Decode an image file, scale it to the models' input size and classify it. `label` is its true class, if known.
    LoadImage { name: String, label: Option<String>, bytes: Vec<u8> },
    /// Load reference images for the explorer from a PNG file with 32 x 32 images stacked vertically. They are used for
    /// models whose classes differ from those of the built-in data set.
    LoadReferenceImages { bytes: Vec<u8> },
    /// Replace the model input by another square crop of the current image file.
    CropImage { crop: Crop },
    /// Load the image with this index from the test split of the built-in data set.
    LoadSample { index: u64 },
    /// Attack the current image on one model. `settings` are those of an `AttackConfig`; `target` is the target class of a
    /// targeted attack. Every event of this attack contains `id`. A later attack stops this one.
    Attack { id: u64, slot: Slot, settings: SettingPairs, target: Option<usize> },
    /// Attack the first `images` test images and count the successes. A later attack stops the evaluation.
    Evaluate { id: u64, slot: Slot, settings: SettingPairs, images: usize },
    /// Compute one view of the explorer for the last attack on a model. A later attack, evaluation or probe cancels it.
    Explore { id: u64, slot: Slot, probe: Probe },
    /// Load the training data set from the file or files attached to the message. `name` is its display name.
    LoadDataset { name: String },
    /// Add an image `[3, 32, 32]` in 0..=255 to the training data as one of a class. An unknown class is added to the
    /// classes.
    AddLabeledImage { class: String, pixels: Vec<u8> },
    /// Remove all labeled images from the training data.
    ClearLabeledImages,
    /// Prepare a training run with the settings of a `TrainConfig`. It replaces the previous run.
    PrepareRun { init_from: InitFrom, settings: SettingPairs },
    /// Prepare a training run from a checkpoint of the page or of the `train` program. `batch` limits the batch size
    /// (0: the run's own).
    ResumeRun { name: String, bytes: Vec<u8>, batch: usize },
    /// Train for at most `steps` steps. Any later command interrupts the training.
    Train { id: u64, steps: u64 },
    /// Change settings of the run from its next step on. [`crate::config::TrainConfig::live`] tells which may change.
    UpdateSettings { settings: SettingPairs },
    /// Export the run as a file. The event contains the same `number`.
    ExportRun { number: u64, purpose: ExportPurpose },
    /// Stop the current job. The worker reports the result so far.
    Stop,
    /// Export a result of an attack as a PNG file.
    ExportImage(ImageExport),
    /// Compare the backend's results with a fixture computed by PyTorch.
    Verify { bytes: Vec<u8> },
}

/// A message from the worker to the page.
#[allow(missing_docs, reason = "the variants describe their fields where the names do not suffice")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The device is open.
    DeviceReady {
        /// Display name.
        name: String,
        /// Whether the GPU is emulated in software.
        emulated: bool,
    },
    /// A model is loaded.
    ModelLoaded { slot: Slot, model: ModelInfo },
    /// The full image that the next [`Event::ImageLoaded`] is cropped from. Sent once per file, if it can be cropped.
    SourceImage { image: SourceImage },
    /// The current image has changed.
    ImageLoaded { image: ImageInfo },
    /// Prediction of a model for the clean image. Sent whenever the model or the image changes.
    Classified { slot: Slot, probabilities: Vec<f32> },
    /// Intermediate result of the attack `id`.
    AttackProgress {
        id: u64,
        /// Steps done by the current attack.
        done: usize,
        /// Steps of the current attack.
        total: usize,
        /// The best adversarial image so far.
        result: AttackResult,
        traces: Vec<Trace>,
    },
    /// The attack `id` has finished.
    AttackDone {
        id: u64,
        /// Whether a command stopped it.
        stopped: bool,
        milliseconds: f64,
        result: AttackResult,
        traces: Vec<Trace>,
        /// Warnings for the user about the reliability of the result.
        flags: Vec<String>,
        /// Predictions of the other models for this adversarial image, and of this model for theirs.
        transfer: Vec<Transfer>,
    },
    /// Intermediate or final result of the evaluation `id`.
    EvaluationProgress {
        id: u64,
        report: Report,
        finished: bool,
        /// Whether a command stopped it.
        stopped: bool,
    },
    /// Result of the probe `id`, or an error message for the user. Partial until `finished`.
    ProbeProgress { id: u64, slot: Slot, probe: Probe, result: Result<Box<ProbeResult>, String>, finished: bool },
    /// A later command cancelled the probe `id`.
    ProbeCancelled { id: u64 },
    /// A PNG file of an attack's result.
    ImageExported {
        /// File name.
        name: String,
        png: Vec<u8>,
        /// Prediction for the adversarial image rounded to 8 bits, as stored in the file.
        probabilities: Vec<f32>,
        /// Whether the rounded image still reaches the attack's goal.
        fools: bool,
    },
    /// Result of the backend check.
    Verified { checks: Vec<GroupCheck>, milliseconds: f64 },
    /// The training data has changed.
    TrainingData { data: TrainingDataInfo },
    /// A run is ready to train, or its settings have changed.
    RunReady { run: Box<RunInfo> },
    /// Progress of the training command `id` since the last such event.
    TrainProgress {
        id: u64,
        /// Total number of steps of the run so far.
        step: u64,
        records: Vec<Record>,
        /// Evaluation of the current model, made every few steps.
        snapshot: Option<Box<RunSnapshot>>,
        /// Images per second since the command started, without the time for snapshots; 0 before the first step.
        images_per_second: f64,
        /// Size of the worker's memory in bytes; 0 if unknown.
        memory: u64,
        /// Whether the command has ended, for whatever reason.
        finished: bool,
    },
    /// A file of the run after `step` steps.
    RunExported { number: u64, purpose: ExportPurpose, name: String, step: u64, bytes: Vec<u8> },
    /// A command failed and had no effect. `message` gives the reason and a remedy.
    Failed { scope: ErrorScope, message: String },
}

/// A request for a PNG file of an attack's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageExport {
    /// The attacked model.
    pub slot: Slot,
    /// The image to export.
    pub image: AttackImage,
    /// The clean image, `[3, 32, 32]` in 0..=255.
    pub original: Vec<u8>,
    /// The adversarial image, `[3, 32, 32]` in [0,1].
    pub adversarial: Vec<f32>,
    /// Settings of the attack.
    pub settings: SettingPairs,
    /// Target class of the attack.
    pub target: Option<usize>,
}

/// An image of an attack's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttackImage {
    /// The adversarial image.
    Adversarial,
    /// The perturbation, magnified around gray.
    Perturbation,
}

/// Topic of an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorScope {
    /// The compute device.
    Device,
    /// A model file.
    Model,
    /// The current image.
    Image,
    /// The explorer's reference images.
    Reference,
    /// An attack.
    Attack,
    /// An evaluation on many images.
    Evaluation,
    /// The fixture of the backend check.
    Fixture,
    /// The training data.
    Data,
    /// A training run could not start or continue.
    Training,
    /// The loss or the weights are no longer finite. The run can only be resumed from its last checkpoint.
    Diverged,
    /// The export of a run.
    Export,
}

/// The available training data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingDataInfo {
    /// The uploaded data set, if any.
    pub uploaded: Option<UploadedDataset>,
    /// Classes of the uploaded or else the built-in data set, followed by classes of labeled images.
    pub classes: Vec<String>,
    /// Number of labeled images of each class.
    pub labeled: Vec<(String, usize)>,
}

/// An uploaded data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedDataset {
    /// Display name.
    pub name: String,
    /// Value of the setting `dataset` (`cifar10`, ...).
    pub kind: String,
    /// Number of training images.
    pub train_images: usize,
    /// Number of test images.
    pub test_images: usize,
}

/// A training run that is ready to train.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Settings of its `TrainConfig`.
    pub settings: SettingPairs,
    /// `wrn-10-1`, ...
    pub architecture: String,
    /// Number of trainable parameters.
    pub parameters: usize,
    /// Class names.
    pub classes: Vec<String>,
    /// Steps done so far.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Batch size.
    pub batch: usize,
    /// Number of training images.
    pub images: usize,
    /// Number of held-out images that each snapshot evaluates.
    pub held_out: usize,
    /// Changes made to the settings to fit this device, for the user.
    pub notes: Vec<String>,
}

/// Evaluation of a run's model during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSnapshot {
    /// Steps done so far.
    pub step: u64,
    /// Clean accuracy on the held-out images, 0..=1.
    pub clean: f32,
    /// Robust accuracy on the held-out images, 0..=1.
    pub robust: f32,
    /// The batch of the last step; `None` before the first step.
    pub batch: Option<BatchPreview>,
    /// The current image; `None` if no image is loaded.
    pub tracked: Option<TrackedImage>,
}

/// The first images of a training batch, and the current model's predictions for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchPreview {
    /// Clean images, `[n, 3, 32, 32]` in 0..=255.
    pub images: Vec<u8>,
    /// Their adversarial images, `[n, 3, 32, 32]` in 0..=255. Equal to `images` if the objective needs no attack.
    pub adversarial_images: Vec<u8>,
    /// True classes, `[n]`.
    pub labels: Vec<u16>,
    /// Classes predicted for the clean images, `[n]`.
    pub clean_predictions: Vec<u16>,
    /// Classes predicted for the adversarial images, `[n]`.
    pub adversarial_predictions: Vec<u16>,
    /// Transport between the clean and adversarial logits of the whole batch, in inference mode. `None` without an attack.
    pub transport: Option<TransportPlan>,
}

/// The current image as predicted by the model in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackedImage {
    /// Class probabilities of the clean image, `[C]`.
    pub clean: Vec<f32>,
    /// Class probabilities of the adversarial image within the training radius, `[C]`.
    pub adversarial: Vec<f32>,
    /// Change of each layer's output between both images.
    pub shifts: Vec<LayerShift>,
    /// Latents of both images among those of held-out images.
    pub latents: LatentPath,
}

/// A loaded model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Display name.
    pub name: String,
    /// `wrn-10-1`, ...
    pub architecture: String,
    /// Training objective (`otjr`, ...), if the file contains it.
    pub objective: Option<String>,
    /// Number of parameters.
    pub parameters: usize,
    /// Class names.
    pub classes: Vec<String>,
}

/// The current image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Display name.
    pub name: String,
    /// Model input, `[3, 32, 32]` in 0..=255.
    pub pixels: Vec<u8>,
    /// Width and height of the file in pixels.
    pub original: [u32; 2],
    /// Crop of the upright image that was scaled to the model input; `None` if the image cannot be cropped.
    pub crop: Option<Crop>,
    /// Name of the true class, if known (built-in images).
    pub label: Option<String>,
    /// Conversions applied to the file (rotated by EXIF, transparency replaced by white), for the user.
    pub notes: Vec<String>,
}

impl ImageInfo {
    /// Returns the model input scaled to [0,1].
    pub fn to_unit_range(&self) -> Vec<f32> {
        to_unit_range(&self.pixels)
    }
}

/// A reduced copy of an image file, for choosing a crop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceImage {
    /// Width and height of the upright image in pixels.
    pub size: [u32; 2],
    /// Width and height of the preview in pixels.
    pub preview_size: [u32; 2],
    /// The preview, `[height, width, 3]` in 0..=255.
    pub preview: Vec<u8>,
}

/// An adversarial image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackResult {
    /// The image, `[3, 32, 32]` in [0,1].
    pub pixels: Vec<f32>,
    /// Class probabilities, `[C]`.
    pub probabilities: Vec<f32>,
    /// Whether it reaches the attack's goal: misclassified, or classified as the target.
    pub succeeded: bool,
    /// L-infinity norm of the perturbation, for pixels in [0,1].
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
    /// L1 norm of the perturbation.
    pub l1: f32,
    /// Size, in the attack's norm, of the smallest successful perturbation found, if any. It may exceed epsilon.
    pub distance: Option<f32>,
}

/// Prediction of one model for an adversarial image that was computed on another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// The attacked model.
    pub source: Slot,
    /// The model that classifies the adversarial image.
    pub evaluated_on: Slot,
    /// Class probabilities, `[C]`.
    pub probabilities: Vec<f32>,
}

/// Number of model evaluations of an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCounts {
    /// Forward passes.
    pub forward: u64,
    /// Gradient computations (backward passes).
    pub backward: u64,
}

/// Progress of one attack on one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Name of the attack.
    pub attack: String,
    /// Margin of the clean image, followed by the lowest margin found up to a step. The steps are evenly spaced, at most
    /// [`Trace::MAX_MARGINS`] of them.
    pub margins: Vec<f32>,
    /// Steps done.
    pub steps: usize,
    /// Model evaluations used.
    pub queries: QueryCounts,
    /// Whether the attack succeeded.
    pub succeeded: bool,
}

impl Trace {
    /// Maximum number of recorded steps.
    pub const MAX_MARGINS: usize = 200;
}

impl Command {
    /// Returns the number of the job that this command starts, or `None` if it starts no job. A job is a long computation
    /// that a later command stops.
    pub fn job_id(&self) -> Option<u64> {
        match self {
            Self::Attack { id, .. } | Self::Evaluate { id, .. } | Self::Explore { id, .. } | Self::Train { id, .. } => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// Returns whether the command is deferred until the current job ends instead of stopping it. Training is the
    /// exception: it is interrupted by every command, because it continues afterwards without loss.
    pub fn is_deferred(&self) -> bool {
        match self {
            Self::ExportRun { purpose, .. } => *purpose != ExportPurpose::LoadModel,
            Self::UpdateSettings { .. }
            | Self::AddLabeledImage { .. }
            | Self::ClearLabeledImages
            | Self::ExportImage(_) => true,
            _ => false,
        }
    }

    /// Returns the field for the attached file's bytes, if the command has one. A file may have many megabytes, so the page
    /// transfers it next to the encoded message instead of inside it.
    pub fn attachment(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::LoadModel { bytes, .. }
            | Self::LoadImage { bytes, .. }
            | Self::LoadReferenceImages { bytes }
            | Self::ResumeRun { bytes, .. }
            | Self::Verify { bytes } => Some(bytes),
            _ => None,
        }
    }
}

/// Encodes a message for the other side.
///
/// # Panics
///
/// If serialization fails, which cannot happen for the types of this module.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("messages are plain data")
}

/// Decodes a message made by [`encode`].
///
/// # Errors
///
/// If the bytes are not an encoded `T`, with a message for the user.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    postcard::from_bytes(bytes)
        .map_err(|e| format!("page and worker come from different versions ({e}): reload the page"))
}
