//! What the page and its worker say to each other. Both are a `match` over these.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    data::{crop::Crop, to_unit_range},
    evaluate::Report,
    explore::{
        layers::LayerShift,
        probe::{LatentPath, Probe, ProbeResult},
        transport::TransportPlan,
    },
    train::Record,
    verify::GroupCheck,
};

/// A model's place in the worker, so that several can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    #[default]
    Robust,
    Standard,
    /// Of adversarial training alone, to compare the robust one with.
    Adversarial,
    /// A file of the user's.
    Custom,
    /// A training run's model, while runs are compared. It looks at no image of the user's.
    Run,
}

/// Settings by name, as text.
pub type Pairs = Vec<(String, String)>;

/// What a training run begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Fresh weights.
    #[default]
    Scratch,
    /// The weights of the model in a place, and its architecture whatever the settings say.
    Model(Slot),
}

/// What a file of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To go on from after a crash or a reload.
    Keep,
    /// For the user: the run, as `train --resume` takes it.
    SaveRun,
    /// For the user: the model alone.
    SaveModel,
    /// To be attacked and looked into on the page.
    Try,
}

/// Page to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Open the device of this build.
    Open,
    /// Take a safetensors file as the model of a place from now on.
    LoadModel { slot: Slot, name: String, bytes: Vec<u8> },
    /// Forget the models that come with the page: those of another world take their places.
    ForgetBuiltin,
    /// Decode an image file, shrink it to what models see, classify it. `label` is its class, where that is known.
    LoadImage { name: String, label: Option<String>, bytes: Vec<u8> },
    /// Take the images in a PNG file, 32 x 32 one under the other, as those that views compare with, for models that tell
    /// apart other classes than those of the embedded set.
    LoadReference { bytes: Vec<u8> },
    /// Show another square of the image file to the model.
    Crop { crop: Crop },
    /// Take image number `index` of the embedded set's test half.
    LoadSample { index: u64 },
    /// Attack the image under one of the models. `settings` are those of an `AttackConfig`; `target` is a class to reach,
    /// if any. `id` comes back with every event of this attack. A later attack ends an earlier one.
    Attack { id: u64, slot: Slot, settings: Vec<(String, String)>, target: Option<usize> },
    /// Attack the first images of the embedded set's test half, and count. A later attack ends it.
    Evaluate { id: u64, slot: Slot, settings: Vec<(String, String)>, images: usize },
    /// Answer a probe about the last attack on a model. A later attack, evaluation or probe ends it.
    Explore { id: u64, slot: Slot, probe: Probe },
    /// Take up the data set in the file or files beside the message, to train on. `name` is for people.
    LoadData { name: String },
    /// Add an image `[3, 32, 32]` to what is trained on, as one of a class; an unknown one is added to the classes.
    Label { class: String, pixels: Vec<u8> },
    /// Train on none of the images that were labeled.
    Unlabel,
    /// Prepare a training run with the settings of a `TrainConfig`, in place of the one before.
    Begin { origin: Origin, settings: Pairs },
    /// Prepare the run that a checkpoint was taken of, here or by the native program, with at most `batch` images a step
    /// (0: as many as it had).
    Resume { name: String, bytes: Vec<u8>, batch: usize },
    /// Train for at most `steps` steps. Any later command interrupts it.
    Train { id: u64, steps: u64 },
    /// Change settings of the run, from its next step on: those that [`crate::train::TrainConfig::live`] names.
    Tune { settings: Pairs },
    /// Make a file of the run. The number comes back with it.
    Export { number: u64, purpose: Purpose },
    /// End the attack; what it found so far is sent.
    Stop,
    /// Make a file of an attack: of the image `original`, `[3, 32, 32]` in 0..=255, which it turned into `attacked`, in
    /// [0,1]; `settings` and `target` are the attack's.
    Save {
        slot: Slot,
        part: Part,
        original: Vec<u8>,
        attacked: Vec<f32>,
        settings: Vec<(String, String)>,
        target: Option<usize>,
    },
    /// Check the backend against a fixture of the oracle.
    Verify { bytes: Vec<u8> },
}

/// Worker to page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The device is open. `name` is for people; `emulated` says that it is a GPU only in name.
    DeviceReady {
        name: String,
        emulated: bool,
    },
    ModelLoaded {
        slot: Slot,
        model: ModelInfo,
    },
    /// Of what the image that comes next is a square, if it has a crop. Comes once a file.
    SourceImage {
        whole: SourceImage,
    },
    ImageLoaded {
        image: ImageInfo,
    },
    /// Of the clean image under a model; comes whenever either changes.
    Classified {
        slot: Slot,
        probabilities: Vec<f32>,
    },
    /// The worst point so far of the attack `id`.
    AttackProgress {
        id: u64,
        done: usize,
        total: usize,
        result: AttackResult,
        traces: Vec<Trace>,
    },
    /// The attack `id` is over; `stopped` if by command. `flags` say, for people, why not to trust it; `transfer` what the
    /// other models make of the adversarial image, and this one of theirs.
    AttackDone {
        id: u64,
        stopped: bool,
        milliseconds: f64,
        result: AttackResult,
        traces: Vec<Trace>,
        flags: Vec<String>,
        transfer: Vec<Transfer>,
    },
    /// How far the evaluation `id` is; `over` if it has ended, `stopped` if by command.
    Evaluated {
        id: u64,
        report: Report,
        over: bool,
        stopped: bool,
    },
    /// An answer, or why there is none; while it is not over, the first part of one.
    Explored {
        id: u64,
        slot: Slot,
        probe: Probe,
        answer: Result<Box<ProbeResult>, String>,
        over: bool,
    },
    /// The probe `id` was given up for a later command.
    ProbeCancelled {
        id: u64,
    },
    /// A PNG file of an attack, and what the model sees in the adversarial image as files hold it; `fools` if that is
    /// what the attack wanted.
    Saved {
        name: String,
        png: Vec<u8>,
        probabilities: Vec<f32>,
        fools: bool,
    },
    Verified {
        checks: Vec<GroupCheck>,
        milliseconds: f64,
    },
    /// What there is to train on beside the embedded set.
    Data {
        data: DataInfo,
    },
    /// A run is ready to train, or its settings have changed.
    RunReady {
        run: Box<RunInfo>,
    },
    /// How the run went since the last such event; `over` if the command `id` has ended, for whatever reason.
    TrainProgress {
        id: u64,
        /// Steps done in all.
        step: u64,
        records: Vec<Record>,
        look: Option<Box<RunSnapshot>>,
        /// Images a second since the command began, looks left out; 0 if there was no step.
        speed: f64,
        /// Bytes that the worker's memory has grown to; 0 where that is not known.
        memory: u64,
        over: bool,
    },
    /// A file of the run after `step` steps.
    Exported {
        number: u64,
        purpose: Purpose,
        name: String,
        step: u64,
        bytes: Vec<u8>,
    },
    /// A command could not be carried out; everything is as it was before. `text` says why and what to do.
    Failed {
        subject: ErrorScope,
        text: String,
    },
}

/// What of an attack a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    Attacked,
    Change,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorScope {
    Device,
    Model,
    Image,
    /// The photos that views compare with.
    Reference,
    Attack,
    Evaluation,
    Fixture,
    /// Of data to train on.
    Data,
    /// That could not begin or go on.
    Training,
    /// Of the run, whose numbers are no longer finite: it can only be taken up from a copy.
    Diverged,
    /// Of the run, into a file.
    Export,
}

/// What there is to train on beside the embedded set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataInfo {
    /// The set that was brought, if any: its name and kind (`cifar10`, ...), its images to train on and to judge by.
    pub brought: Option<(String, String, [usize; 2])>,
    /// Its classes, or the embedded set's.
    pub classes: Vec<String>,
    /// Images that the user labeled, by class.
    pub own: Vec<(String, usize)>,
}

/// A training run that is ready to train.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Of a `TrainConfig`.
    pub settings: Pairs,
    /// `wrn-10-1`, ...
    pub architecture: String,
    pub parameters: usize,
    pub classes: Vec<String>,
    /// Steps done, and of the whole run.
    pub step: u64,
    pub steps: u64,
    /// Images a step, images to train on, images of each look.
    pub batch: usize,
    pub images: usize,
    pub held_out: usize,
    /// What was changed to fit this device, for people.
    pub notes: Vec<String>,
}

/// A look at a run's model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSnapshot {
    /// Steps done.
    pub step: u64,
    /// Shares of the held-out images that are right, clean and under attack.
    pub clean: f32,
    pub robust: f32,
    /// The batch of the last step; none before the first.
    pub batch: Option<BatchPreview>,
    /// Of the image in view; none without one.
    pub followed: Option<TrackedImage>,
}

/// A training batch, and what the model makes of it now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchPreview {
    /// The first images and their adversarial images, `[n, 3, 32, 32]` each, 0..=255. Without an attack the twins are
    /// the images.
    pub x: Vec<u8>,
    pub x_adv: Vec<u8>,
    /// `[n]`: their classes, and those that the model sees in both.
    pub labels: Vec<u16>,
    pub clean: Vec<u16>,
    pub attacked: Vec<u16>,
    /// Of the whole batch's logits, in inference mode; none without an attack.
    pub transport: Option<TransportPlan>,
}

/// An image under a model that is being trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackedImage {
    /// `[C]`, of the image, and of the image attacked within the radius of training.
    pub clean: Vec<f32>,
    pub attacked: Vec<f32>,
    pub shifts: Vec<LayerShift>,
    /// Image and adversarial image among held-out ones.
    pub way: LatentPath,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub name: String,
    /// `wrn-10-1`, ...
    pub architecture: String,
    /// `otjr`, ..., where the file says so.
    pub objective: Option<String>,
    pub parameters: usize,
    pub classes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    pub name: String,
    /// What the model sees: `[3, 32, 32]`, 0..=255.
    pub pixels: Vec<u8>,
    /// Width and height of the file.
    pub original: [u32; 2],
    /// The square of the upright file that the model sees; none if that is all there is.
    pub crop: Option<Crop>,
    /// The name of its true class, where it is known (the page's own images).
    pub label: Option<String>,
    /// What was done to it on the way (rotated by EXIF, transparency laid on white), for people.
    pub notes: Vec<String>,
}

impl ImageInfo {
    /// Its pixels in [0,1].
    pub fn to_unit_range(&self) -> Vec<f32> {
        to_unit_range(&self.pixels)
    }
}

/// An image file of which models see a square.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceImage {
    /// Width and height, upright, in pixels.
    pub size: [u32; 2],
    /// Width and height of `rgb`, which is the file made small: `[height, width, 3]`, 0..=255.
    pub shown: [u32; 2],
    pub rgb: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackResult {
    /// `[3, 32, 32]` in [0,1].
    pub pixels: Vec<f32>,
    pub probabilities: Vec<f32>,
    /// The attack's goal is reached: another class, or the target.
    pub reached: bool,
    /// The perturbation's largest change, Euclidean length and sum of changes, pixels in [0,1].
    pub linf: f32,
    pub l2: f32,
    pub l1: f32,
    /// The size, in the attack's norm, of the smallest perturbation that reaches the goal, if one was found: perhaps
    /// beyond epsilon.
    pub distance: Option<f32>,
}

/// What one model makes of the image attacked under another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub under: Slot,
    pub judge: Slot,
    pub probabilities: Vec<f32>,
}

/// The way of one attack on one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub attack: String,
    /// The margin of the image itself, then the lowest so far after each step, at most [`Trace::LONGEST`], evenly chosen.
    pub margins: Vec<f32>,
    /// Steps done.
    pub steps: usize,
    /// Outputs and gradients that it has asked for.
    pub queries: [u64; 2],
    pub reached: bool,
}

impl Trace {
    pub const LONGEST: usize = 200;
}

impl Command {
    /// The number of what a command starts and a later one ends; others have none.
    pub fn attack(&self) -> Option<u64> {
        match self {
            Self::Attack { id, .. } | Self::Evaluate { id, .. } | Self::Explore { id, .. } | Self::Train { id, .. } => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// Whether it waits for what is computed, which it has nothing to do with. Training alone ends for it: that goes on
    /// right after it.
    pub fn waits(&self) -> bool {
        match self {
            Self::Export { purpose, .. } => *purpose != Purpose::Try,
            Self::Tune { .. } | Self::Label { .. } | Self::Unlabel | Self::Save { .. } => true,
            _ => false,
        }
    }

    /// The file that a command brings, if any. It may be megabytes, so it travels beside the message, not in it.
    pub fn file(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::LoadModel { bytes, .. }
            | Self::LoadImage { bytes, .. }
            | Self::LoadReference { bytes }
            | Self::Resume { bytes, .. }
            | Self::Verify { bytes } => Some(bytes),
            _ => None,
        }
    }
}

/// A message as it travels.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("messages are plain data")
}

/// The message that [`encode`] made `bytes` of.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    postcard::from_bytes(bytes)
        .map_err(|e| format!("page and worker do not understand each other ({e}): reload the page"))
}
