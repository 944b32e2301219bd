//! How many images a model gets right as they are shown to it: clean, or corrupted.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::{
    attack::{Error, ModelOracle},
    data::{Corruption, IMAGE_SIZE, ImageSet, corruption::SEVERITIES, to_unit_range},
    model::Classifier,
    prediction::seen,
};

/// How a set of images is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Clean,
    /// With a severity of 1 to [`SEVERITIES`].
    Corrupted(Corruption, usize),
}

impl View {
    /// Every corruption in every severity.
    pub fn corruptions() -> Vec<Self> {
        let all = |&kind| (1..=SEVERITIES).map(move |severity| Self::Corrupted(kind, severity));
        Corruption::ALL.iter().flat_map(all).collect()
    }

    fn show(self, image: &[u8], seed: u64, index: usize) -> Vec<u8> {
        match self {
            Self::Clean => image.to_vec(),
            Self::Corrupted(kind, severity) => kind.apply(severity, image, seed, index as u64),
        }
    }
}

/// Images and the views of them that a model is asked about, one after the other.
pub struct Views<'a> {
    pub images: &'a ImageSet,
    pub views: &'a [View],
    pub seed: u64,
    /// Images looked at at once.
    pub batch: usize,
}

/// How far that is; enough to go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Images right, by view; the last view may not be over.
    pub right: Vec<usize>,
    /// Images looked at, of all views together.
    pub done: usize,
}

impl Views<'_> {
    /// Images to be looked at, of all views together.
    pub fn total(&self) -> usize {
        self.views.len() * self.images.len()
    }

    /// Lets the model look at one batch more.
    pub async fn step(&self, model: &impl Classifier, device: &Device, tally: &mut Tally) -> Result<(), Error> {
        let n = self.images.len();
        let (view, first) = (tally.done / n, tally.done % n);
        let ids = first..n.min(first + self.batch);
        let show = |i: usize| self.views[view].show(self.images.image(i), self.seed, i);
        let shown: Vec<u8> = ids.clone().flat_map(show).collect();
        let logits = ModelOracle::new(model, device, [3, IMAGE_SIZE, IMAGE_SIZE], self.batch)
            .logits(&to_unit_range(&shown))
            .await?;
        let labels = self.images.labels[ids.clone()].iter().map(|&label| usize::from(label));
        let right = logits.rows().zip(labels).filter(|&(z, label)| seen(z, label) == label).count();
        tally.right.resize(view + 1, 0);
        tally.right[view] += right;
        tally.done += ids.len();
        Ok(())
    }
}
