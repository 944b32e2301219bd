//! A run as a file, and back: the model's state dict, velocities, settings and step; all that a run is.

use burn::tensor::Device;

use super::{Error, TrainConfig, Trainer, optimizer::Sgd};
use crate::{
    checkpoint::{self, Checkpoint, MODEL_PREFIX, first_class_mismatch},
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet},
    model::{Model, parameter::Array},
    settings::{Pair, Settings},
};

const VELOCITY: &str = "optimiser.velocity.";
/// The weights as they are, where the model is their average.
const LATEST: &str = "latest.";
/// Of [`Trainer::own`]: `[n, 3, 32, 32]` in 0..=255, `[n]`, and the classes' names.
const OWN_PIXELS: &str = "own.pixels";
const OWN_LABELS: &str = "own.labels";
const OWN_CLASSES: &str = "own-classes";
/// Version of the checkpoint's layout.
const FORMAT: &str = "otjr-1";

impl Trainer {
    /// The run that a checkpoint was taken of.
    ///
    /// # Errors
    /// If the file is no run's, or its parts do not fit each other or the data.
    pub fn resume(checkpoint: &Checkpoint, data: &ImageSet, device: &Device) -> Result<Self, Error> {
        check_run(checkpoint)?;
        let result = Model::from_arrays(&checkpoint.model_arrays(), device)?;
        let latest = checkpoint.arrays_with_prefix(LATEST);
        let (model, ema) =
            if latest.is_empty() { (result, None) } else { (Model::from_arrays(&latest, device)?, Some(result)) };
        let mut trainer = Self::with_model(&config_of(checkpoint)?, model, data, device)?;
        trainer.ema = ema;
        trainer.classes = checkpoint.class_names(trainer.model.classes);
        if let Some(i) = first_class_mismatch(&trainer.classes, &data.classes) {
            let [of_run, found] = [&trainer.classes, &data.classes].map(|names| names[i].clone());
            return Err(Error::ClassNames { number: i, of_run, found });
        }
        trainer.user_images = own_of(checkpoint)?;
        trainer.optimizer = Sgd::from_arrays(&checkpoint.arrays, VELOCITY, &mut trainer.model, device)?;
        trainer.step = step_of(checkpoint)?;
        Ok(trainer)
    }

    /// What the run has made as a file, for others to open.
    pub async fn model_file(&self) -> Result<Checkpoint, Error> {
        let mut file = Checkpoint::default();
        let weights = self.final_model().arrays().await.map_err(Error::Device)?;
        // Better the last good checkpoint than this one.
        if weights.values().flat_map(|array| &array.values).any(|v| !v.is_finite()) {
            return Err(Error::Diverged { step: self.step, loss: f32::NAN });
        }
        file.insert_with_prefix(MODEL_PREFIX, weights);
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("architecture", self.model.architecture.to_string()),
            ("classes", serde_json::json!(self.classes).to_string()),
            ("objective", self.config.objective.to_string()),
            ("config", serde_json::json!(self.config.pairs()).to_string()),
            ("step", self.step.to_string()),
        ];
        file.metadata.extend(metadata.map(|(key, value)| (key.to_owned(), value)));
        Ok(file)
    }

    /// The state of the run as a file: [`Trainer::resume`] goes on from it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let mut file = self.model_file().await?;
        if self.ema.is_some() {
            file.insert_with_prefix(LATEST, self.model.arrays().await.map_err(Error::Device)?);
        }
        file.insert_with_prefix(VELOCITY, self.optimizer.arrays().await.map_err(Error::Device)?);
        if !self.user_images.is_empty() {
            let n = self.user_images.len();
            let values = |bytes: &[u8]| bytes.iter().map(|&v| f32::from(v)).collect();
            let pixels = Array { shape: vec![n, 3, IMAGE_SIZE, IMAGE_SIZE], values: values(&self.user_images.pixels) };
            let labels = self.user_images.labels.iter().map(|&label| f32::from(label)).collect();
            file.arrays.insert(OWN_PIXELS.to_owned(), pixels);
            file.arrays.insert(OWN_LABELS.to_owned(), Array { shape: vec![n], values: labels });
            file.metadata.insert(OWN_CLASSES.to_owned(), serde_json::json!(self.user_images.classes).to_string());
        }
        Ok(file)
    }
}

fn bad(key: &'static str, problem: impl Into<String>) -> checkpoint::Error {
    checkpoint::Error::Metadata { key, problem: problem.into() }
}

const NO_RUN: &str = "the file is a model, not a run";

fn text<'a>(checkpoint: &'a Checkpoint, key: &'static str) -> Result<&'a str, checkpoint::Error> {
    checkpoint.metadata.get(key).map(String::as_str).ok_or_else(|| bad(key, NO_RUN))
}

fn step_of(checkpoint: &Checkpoint) -> Result<u64, checkpoint::Error> {
    text(checkpoint, "step")?.parse().map_err(|_| bad("step", "not a number"))
}

/// Refuses a file that holds the model of a run, but not what it takes to go on.
pub fn check_run(checkpoint: &Checkpoint) -> Result<(), Error> {
    let moves = checkpoint.arrays.keys().any(|name| name.starts_with(VELOCITY));
    if step_of(checkpoint)? > 0 && !moves { Err(bad("step", NO_RUN).into()) } else { Ok(()) }
}

/// The settings of the run that a checkpoint was taken of.
pub fn config_of(checkpoint: &Checkpoint) -> Result<TrainConfig, Error> {
    let settings: Vec<Pair> =
        serde_json::from_str(text(checkpoint, "config")?).map_err(|e| bad("config", e.to_string()))?;
    Ok(TrainConfig::from_pairs(&settings).map_err(|e| bad("config", e.to_string()))?)
}

/// The images that were added to the data set of the run that a checkpoint was taken of: often none.
/// [`ImageSet::join`] adds them once more.
pub fn own_of(checkpoint: &Checkpoint) -> Result<ImageSet, Error> {
    let Some(classes) = checkpoint.metadata.get(OWN_CLASSES) else { return Ok(ImageSet::default()) };
    let classes: Vec<String> = serde_json::from_str(classes).map_err(|e| bad(OWN_CLASSES, e.to_string()))?;
    let values = |name: &str| checkpoint.arrays.get(name).map(|array| array.values.as_slice()).unwrap_or_default();
    let pixels: Vec<u8> = values(OWN_PIXELS).iter().map(|&v| v as u8).collect();
    let labels: Vec<u16> = values(OWN_LABELS).iter().map(|&v| v as u16).collect();
    if pixels.len() != labels.len() * IMAGE_LEN || labels.iter().any(|&label| usize::from(label) >= classes.len()) {
        return Err(bad(OWN_CLASSES, "images and labels do not fit: the file is damaged").into());
    }
    Ok(ImageSet { pixels, labels, classes })
}
