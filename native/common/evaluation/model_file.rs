//! Models from files, for programs that judge them.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use otjr::{
    checkpoint::{Checkpoint, first_class_mismatch},
    data::ImageSet,
    model::Model,
    platform::Opened,
    train::{self, TrainConfig},
};

/// `otjr` of `models/otjr.safetensors`; of `run/otjr/model.safetensors` too.
pub fn stem(path: &str) -> String {
    let path = Path::new(path);
    let name = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    match name(path) {
        Some(own) if own == "model" => path.parent().and_then(name).unwrap_or(own),
        own => own.unwrap_or_default(),
    }
}

/// A model's file. It is read before images are fetched: what is wrong with it shows at once.
pub struct File {
    pub path: String,
    checkpoint: Checkpoint,
    checksum: u32,
}

impl File {
    pub fn read(path: &String) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("could not read {path}"))?;
        let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| path.to_owned())?;
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes);
        Ok(Self { path: path.clone(), checkpoint, checksum: checksum.sum() })
    }

    /// The model, if it tells the images' classes apart; the file's checksum, and what it says of the training.
    pub fn load(&self, images: &ImageSet, opened: &Opened) -> anyhow::Result<(Model, u32, Option<TrainConfig>)> {
        let Self { path, checkpoint, checksum } = self;
        let model = Model::from_arrays(&checkpoint.model_arrays(), &opened.device).with_context(|| path.to_owned())?;
        if model.classes != images.classes.len() {
            bail!(
                "{path} tells {} classes apart, the images have {}: choose the --dataset that it was trained on",
                model.classes,
                images.classes.len()
            );
        }
        let classes = checkpoint.class_names(model.classes);
        if let Some(i) = first_class_mismatch(&classes, &images.classes) {
            let (own, class) = (&classes[i], &images.classes[i]);
            bail!(
                "{path} calls class {i} '{own}', in the images it is '{class}': choose the --dataset that it was trained on"
            );
        }
        Ok((model, *checksum, train::config_of(checkpoint).ok()))
    }
}
