//! Models that are loaded from checkpoints for evaluation.

use std::path::Path;

use anyhow::{Context, bail};
use otjr::{
    checkpoint::{Checkpoint, first_class_mismatch},
    data::ImageSet,
    model::Model,
    platform::Opened,
    train::{self, TrainConfig},
};

use crate::files;

/// Returns a short name of a model's file: `otjr` for `models/otjr.safetensors` and for `run/otjr/model.safetensors`.
pub fn stem(path: &str) -> String {
    let path = Path::new(path);
    let name = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    match name(path) {
        Some(file) if file == "model" => path.parent().and_then(name).unwrap_or(file),
        file => file.unwrap_or_default(),
    }
}

/// A checkpoint file. It is read before the images are loaded, so that errors are reported early.
pub struct ModelFile {
    /// Path of the file.
    pub path: String,
    checkpoint: Checkpoint,
    checksum: u32,
}

/// A model on a device.
pub struct LoadedModel {
    /// The model.
    pub model: Model,
    /// CRC-32 of its file.
    pub checksum: u32,
    /// Settings of its training, if the file contains them.
    pub config: Option<TrainConfig>,
}

impl ModelFile {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read or is not a checkpoint.
    pub fn read(path: &String) -> anyhow::Result<Self> {
        let bytes = files::read(path)?;
        let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| path.to_owned())?;
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes);
        Ok(Self { path: path.clone(), checkpoint, checksum: checksum.sum() })
    }

    /// Builds the model.
    ///
    /// # Errors
    /// If the checkpoint does not contain a known network, or its classes are not those of the images.
    pub fn load(&self, images: &ImageSet, opened: &Opened) -> anyhow::Result<LoadedModel> {
        let Self { path, checkpoint, checksum } = self;
        let model = Model::from_arrays(&checkpoint.model_arrays(), &opened.device).with_context(|| path.to_owned())?;
        if model.classes != images.classes.len() {
            bail!(
                "{path} has {} classes, the images have {}: choose the --dataset that it was trained on",
                model.classes,
                images.classes.len()
            );
        }
        let classes = checkpoint.class_names(model.classes);
        if let Some(i) = first_class_mismatch(&classes, &images.classes) {
            bail!(
                "{path} calls class {i} '{}', the data set calls it '{}': choose the --dataset that it was trained on",
                classes[i],
                images.classes[i]
            );
        }
        Ok(LoadedModel { model, checksum: *checksum, config: train::config_of(checkpoint).ok() })
    }
}
