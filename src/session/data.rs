//! The training data: the built-in or an uploaded data set, and images that the user labeled.

use std::{
    io::{self, Read, Seek},
    rc::Rc,
};

use super::{CommandError, Session, training::training_error};
use crate::{
    data::{self, Dataset, IMAGE_LEN, ImageSet, Splits, archive, folder, synthetic},
    protocol::{ErrorScope, Event, TrainingDataInfo, UploadedDataset},
    train::TrainConfig,
};

/// A file with random access.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// Uploaded files.
pub enum Files {
    /// An archive.
    Archive(Box<dyn Source>),
    /// The files of a folder, with their paths.
    Folder(Vec<(String, Box<dyn Source>)>),
}

/// An uploaded data set.
pub struct UserDataset {
    pub name: String,
    pub dataset: Dataset,
    pub splits: Rc<Splits>,
}

fn data_error(problem: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorScope::Data, problem)
}

impl Session {
    pub(super) fn load_dataset(&mut self, name: String) -> Result<(), CommandError> {
        let (dataset, splits) = match self.files.take() {
            Some(Files::Archive(file)) => archive::read(&name, file).map_err(data_error)?,
            Some(Files::Folder(files)) => {
                let (paths, mut files): (Vec<String>, Vec<_>) = files.into_iter().unzip();
                let read_file = |i: usize| read_all(&paths[i], &mut *files[i]);
                (Dataset::Folder, folder::read(&name, &paths, read_file).map_err(data_error)?)
            }
            None => return Err(data_error("the file is missing: choose it again")),
        };
        self.user_dataset = Some(UserDataset { name, dataset, splits: Rc::new(splits) });
        self.emit_training_data();
        Ok(())
    }

    pub(super) fn add_labeled_image(&mut self, class: &str, pixels: &[u8]) -> Result<(), CommandError> {
        if pixels.len() != IMAGE_LEN {
            return Err(data_error("the image does not have 32 x 32 pixels"));
        }
        if class.is_empty() {
            return Err(data_error("enter a name for the image's class"));
        }
        self.labeled.add(pixels, class);
        self.emit_training_data();
        Ok(())
    }

    pub(super) fn clear_labeled_images(&mut self) -> Result<(), CommandError> {
        self.labeled = ImageSet::default();
        self.emit_training_data();
        Ok(())
    }

    pub(super) fn emit_training_data(&self) {
        let dataset = self.user_dataset.as_ref();
        let mut classes = match dataset {
            Some(dataset) => dataset.splits.train.classes.clone(),
            None => synthetic::generate(0, 0, 0).train.classes,
        };
        let mut labeled = Vec::new();
        for (label, class) in self.labeled.classes.iter().enumerate() {
            if !classes.contains(class) {
                classes.push(class.clone());
            }
            let images = self.labeled.labels.iter().filter(|&&l| usize::from(l) == label).count();
            labeled.push((class.clone(), images));
        }
        let uploaded = dataset.map(|UserDataset { name, dataset, splits }| UploadedDataset {
            name: name.clone(),
            kind: dataset.to_string(),
            train_images: splits.train.len(),
            test_images: splits.test.len(),
        });
        self.emit(Event::TrainingData { data: TrainingDataInfo { uploaded, classes, labeled } });
    }

    /// Returns the images of a run. Labeled images are added to the training images.
    pub(super) fn splits(&self, config: &TrainConfig, labeled: &ImageSet) -> Result<Rc<Splits>, CommandError> {
        let splits = match (&self.user_dataset, config.dataset) {
            (_, Dataset::Synthetic) => Rc::new(synthetic::default_splits([config.limit, config.limit_test])),
            (Some(uploaded), dataset) if uploaded.dataset == dataset => uploaded.splits.clone(),
            (_, dataset) => {
                let message = format!("this run trains on {dataset}: open its archive in the training section first");
                return Err(training_error(message));
            }
        };
        let Splits { train, test } = &*splits;
        if test.is_empty() {
            return Err(training_error("the data set has no test images"));
        }
        if !config.extra.is_empty() {
            return Err(training_error(format_args!(
                "this run also trains on {}, which the page does not have: resume it natively with train --resume",
                config.extra
            )));
        }
        let limit = |limit: usize, images: usize| if limit == 0 { images } else { limit.min(images) };
        let (train_images, test_images) = (limit(config.limit, train.len()), limit(config.limit_test, test.len()));
        let uses_all = train_images == train.len() && test_images == test.len();
        if labeled.is_empty() && config.validation == 0 && uses_all {
            return Ok(splits);
        }
        let mut splits = Splits { train: train.subsample(train_images), test: test.subsample(test_images) };
        splits.extend_with(labeled);
        // The native program selects a checkpoint with the validation images. They are left out here too, so that a run has
        // the same steps on both.
        splits.train.split_off_stratified(config.validation);
        Ok(Rc::new(splits))
    }
}

fn read_all(path: &str, file: &mut dyn Source) -> Result<Vec<u8>, data::Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|reason: io::Error| data::Error::Io { path: path.to_owned(), reason })?;
    Ok(bytes)
}
