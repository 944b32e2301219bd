//! What the page and its worker say to each other. Both are a `match` over these.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    data::crop::Crop,
    evaluate::Report,
    explore::question::{Answer, Question},
    verify::Check,
};

/// A model's place in the worker, so that several can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    #[default]
    Robust,
    Standard,
    /// A file of the visitor's.
    Own,
}

/// Page to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Open the device of this build.
    Open,
    /// Take a safetensors file as the model of a place from now on.
    LoadModel { slot: Slot, name: String, bytes: Vec<u8> },
    /// Decode a picture file, shrink it to what models see, classify it.
    LoadPicture { name: String, bytes: Vec<u8> },
    /// Show another square of the picture file to the model.
    Crop { crop: Crop },
    /// Take picture number `index` of the embedded set's test half.
    LoadSample { index: u64 },
    /// Attack the picture under one of the models. `settings` are those of an `AttackConfig`; `target` is a class to reach,
    /// if any. `id` comes back with every event of this attack. A later attack ends an earlier one.
    Attack { id: u64, slot: Slot, settings: Vec<(String, String)>, target: Option<usize> },
    /// Attack the first pictures of the embedded set's test half, and count. A later attack ends it.
    Evaluate { id: u64, slot: Slot, settings: Vec<(String, String)>, pictures: usize },
    /// Answer a question about the last attack on a model. A later attack, evaluation or question ends it.
    Explore { id: u64, slot: Slot, question: Question },
    /// End the attack; what it found so far is sent.
    Stop,
    /// Make a file of an attack: of the picture `original`, `[3, 32, 32]` in 0..=255, which it turned into `attacked`, in
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
    Opened {
        name: String,
        emulated: bool,
    },
    ModelLoaded {
        slot: Slot,
        model: ModelInfo,
    },
    /// Of what the picture that comes next is a square, if it has a crop. Comes once a file.
    Whole {
        whole: Whole,
    },
    PictureLoaded {
        picture: PictureInfo,
    },
    /// Of the clean picture under a model; comes whenever either changes.
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
    /// other models make of the attacked picture, and this one of theirs.
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
        question: Question,
        answer: Result<Box<Answer>, String>,
        over: bool,
    },
    /// The question `id` was given up for a later command.
    Unanswered {
        id: u64,
    },
    /// A PNG file of an attack, and what the model sees in the attacked picture as files hold it; `fools` if that is
    /// what the attack wanted.
    Saved {
        name: String,
        png: Vec<u8>,
        probabilities: Vec<f32>,
        fools: bool,
    },
    Verified {
        checks: Vec<Check>,
        milliseconds: f64,
    },
    /// A command could not be carried out; everything is as it was before. `text` says why and what to do.
    Refused {
        subject: Subject,
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
pub enum Subject {
    Device,
    Model,
    Picture,
    Attack,
    Evaluation,
    Fixture,
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
pub struct PictureInfo {
    pub name: String,
    /// What the model sees: `[3, 32, 32]`, 0..=255.
    pub pixels: Vec<u8>,
    /// Width and height of the file.
    pub original: [u32; 2],
    /// The square of the upright file that the model sees; none if that is all there is.
    pub crop: Option<Crop>,
    /// Its true class, where it is known (the embedded set).
    pub label: Option<usize>,
    /// What was done to it on the way (rotated by EXIF, transparency laid on white), for people.
    pub notes: Vec<String>,
}

impl PictureInfo {
    /// Its pixels in [0,1].
    pub fn unit(&self) -> Vec<f32> {
        self.pixels.iter().map(|&v| f32::from(v) / 255.0).collect()
    }
}

/// A picture file of which models see a square.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
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

/// What one model makes of the picture attacked under another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub under: Slot,
    pub judge: Slot,
    pub probabilities: Vec<f32>,
}

/// The way of one attack on one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub attack: String,
    /// The margin of the picture itself, then the lowest so far after each step, at most [`Trace::LONGEST`], evenly chosen.
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
            Self::Attack { id, .. } | Self::Evaluate { id, .. } | Self::Explore { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The file that a command brings, if any. It may be megabytes, so it travels beside the message, not in it.
    pub fn file(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::LoadModel { bytes, .. } | Self::LoadPicture { bytes, .. } | Self::Verify { bytes } => Some(bytes),
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
