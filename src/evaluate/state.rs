//! State of an evaluation, which can be reported, saved and resumed.

use serde::{Deserialize, Serialize};

use crate::{
    attack::autoattack::Flag,
    checkpoint::{Checkpoint, Error},
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, to_unit_range},
    model::parameter::Array,
};

/// How many of a set's images a model gets right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accuracy {
    #[serde(rename = "pictures")]
    pub images: usize,
    /// Right on the clean image.
    pub clean: usize,
    /// Right on the worst image that the attack found.
    pub robust: usize,
}

impl Accuracy {
    /// Shares in [0,1]: clean, robust.
    pub fn shares(&self) -> [f64; 2] {
        [self.clean, self.robust].map(|n| n as f64 / self.images.max(1) as f64)
    }
}

/// Result of the evaluation on one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageStatus {
    /// Misclassified without an attack.
    Misclassified,
    /// Still classified correctly.
    Robust,
    /// Fooled by the attack with this index.
    FooledBy(usize),
}

/// Result of one attack of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    /// Images classified correctly before and after the attack.
    pub before: usize,
    pub after: usize,
    pub seconds: f64,
    /// Images whose logits, and whose gradients, it asked for.
    pub queries: [u64; 2],
    pub zero_gradients: usize,
    /// Images skipped because the attacked model already misclassifies them (transfer attacks).
    #[serde(default, rename = "left_alone")]
    pub skipped: usize,
}

/// State of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `[N]`.
    pub statuses: Vec<ImageStatus>,
    /// `[N]`, of the adversarial image where there is one.
    pub predictions: Vec<usize>,
    /// `[N, 3, 32, 32]`: the adversarial image of a fooled model, otherwise the original.
    pub adversarial: Vec<f32>,
    /// The attacks that have begun.
    pub records: Vec<Record>,
    pub flags: Vec<Flag>,
    /// The next image of the attack that runs.
    pub next: usize,
    /// All attacks are over.
    pub finished: bool,
}

/// Report of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub accuracy: Accuracy,
    pub records: Vec<Record>,
    /// For people.
    pub flags: Vec<String>,
    /// Share of the last attack that is done, in [0,1].
    pub part: f64,
}

impl State {
    pub fn report(&self, part: f64) -> Report {
        let flags = self.flags.iter().map(ToString::to_string).collect();
        Report { accuracy: self.accuracy(), records: self.records.clone(), flags, part }
    }

    fn count(&self, stands: impl Fn(&ImageStatus) -> bool) -> usize {
        self.statuses.iter().filter(|fate| stands(fate)).count()
    }

    pub fn accuracy(&self) -> Accuracy {
        Accuracy {
            images: self.statuses.len(),
            clean: self.count(|fate| *fate != ImageStatus::Misclassified),
            robust: self.count(|fate| *fate == ImageStatus::Robust),
        }
    }

    /// The same of each class; `images` are those that were evaluated.
    pub fn by_class(&self, images: &ImageSet) -> Vec<Accuracy> {
        let mut classes = vec![Accuracy::default(); images.classes.len()];
        for (fate, label) in self.statuses.iter().zip(&images.labels) {
            let class = &mut classes[usize::from(*label)];
            class.images += 1;
            class.clean += usize::from(*fate != ImageStatus::Misclassified);
            class.robust += usize::from(*fate == ImageStatus::Robust);
        }
        classes
    }
}

/// Names of a state's arrays in files.
const CLEAN: &str = "clean";
const ADVERSARIAL: &str = "adversarial";
const LABELS: &str = "labels";
const PREDICTIONS: &str = "predictions";
const FELLED_BY: &str = "felled_by";

/// What is not an array.
#[derive(Serialize, Deserialize)]
struct Rest {
    records: Vec<Record>,
    flags: Vec<Flag>,
    next: usize,
    finished: bool,
}

const REST: &str = "evaluation";

impl State {
    /// A file of it: `clean` and `adversarial` `[N, 3, 32, 32]`, `labels`, `predictions` and `felled_by` `[N]`, which
    /// numbers the attacks of the metadata's records; -1 stands, -2 was wrong without an attack.
    pub fn to_checkpoint(&self, images: &ImageSet) -> Checkpoint {
        let n = self.statuses.len();
        let felled_by = |fate: &ImageStatus| match fate {
            ImageStatus::Misclassified => -2.0,
            ImageStatus::Robust => -1.0,
            ImageStatus::FooledBy(number) => *number as f32,
        };
        let image_array = |values: Vec<f32>| Array { shape: vec![n, 3, IMAGE_SIZE, IMAGE_SIZE], values };
        let number_array = |values: Vec<f32>| Array { shape: vec![n], values };
        let arrays = [
            (CLEAN, image_array(to_unit_range(&images.pixels))),
            (ADVERSARIAL, image_array(self.adversarial.clone())),
            (LABELS, number_array(images.labels.iter().map(|&v| f32::from(v)).collect())),
            (PREDICTIONS, number_array(self.predictions.iter().map(|&v| v as f32).collect())),
            (FELLED_BY, number_array(self.statuses.iter().map(felled_by).collect())),
        ];
        let rest =
            Rest { records: self.records.clone(), flags: self.flags.clone(), next: self.next, finished: self.finished };
        Checkpoint {
            arrays: arrays.into_iter().map(|(name, array)| (name.to_owned(), array)).collect(),
            metadata: [(REST.to_owned(), serde_json::json!(rest).to_string())].into(),
        }
    }

    /// The state in a file made by [`State::to_checkpoint`] of the same images.
    pub fn from_checkpoint(file: &Checkpoint, images: &ImageSet) -> Result<Self, Error> {
        let array = |name: &'static str, each: usize| match file.arrays.get(name) {
            Some(array) if array.values.len() == images.len() * each => Ok(&array.values),
            Some(_) => Err(Error::Metadata { key: name, problem: "it is of another number of images".into() }),
            None => Err(Error::Metadata { key: name, problem: "there is no such array: it is no evaluation".into() }),
        };
        let labels = array(LABELS, 1)?;
        if labels.iter().zip(&images.labels).any(|(a, b)| *a != f32::from(*b)) {
            return Err(Error::Metadata { key: LABELS, problem: "it is of other images".into() });
        }
        let fate = |v: &f32| match *v {
            -2.0 => ImageStatus::Misclassified,
            v if v < 0.0 => ImageStatus::Robust,
            v => ImageStatus::FooledBy(v as usize),
        };
        let rest = file.metadata.get(REST).map(String::as_str).unwrap_or_default();
        let rest: Rest =
            serde_json::from_str(rest).map_err(|e| Error::Metadata { key: REST, problem: e.to_string() })?;
        Ok(Self {
            statuses: array(FELLED_BY, 1)?.iter().map(fate).collect(),
            predictions: array(PREDICTIONS, 1)?.iter().map(|&v| v as usize).collect(),
            adversarial: array(ADVERSARIAL, IMAGE_LEN)?.clone(),
            records: rest.records,
            flags: rest.flags,
            next: rest.next,
            finished: rest.finished,
        })
    }
}
