//! What the page trains on: the embedded set, one that the user brings, and images that they label.

use std::{
    io::{self, Read, Seek},
    rc::Rc,
};

use super::{CommandError, Session};
use crate::{
    data::{self, Dataset, IMAGE_LEN, ImageSet, Splits, archive, folder, synthetic},
    protocol::{DataInfo, ErrorScope, Event},
    train::TrainConfig,
};

/// A file that can be read from anywhere.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// What the user brought: an archive, or the files of a folder by their paths.
pub enum Files {
    Archive(Box<dyn Source>),
    Folder(Vec<(String, Box<dyn Source>)>),
}

/// A set that the user brought.
pub struct Brought {
    pub name: String,
    pub dataset: Dataset,
    pub splits: Rc<Splits>,
}

fn refuse(problem: impl std::fmt::Display) -> CommandError {
    CommandError(ErrorScope::Data, problem.to_string())
}

impl Session {
    pub(super) fn load_data(&mut self, name: String, emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        let (dataset, splits) = match self.files.take() {
            Some(Files::Archive(file)) => archive::read(&name, file).map_err(refuse)?,
            Some(Files::Folder(files)) => {
                let (paths, mut files): (Vec<String>, Vec<_>) = files.into_iter().unzip();
                let bytes = |i: usize| whole(&paths[i], &mut *files[i]);
                (Dataset::Folder, folder::read(&name, &paths, bytes).map_err(refuse)?)
            }
            None => return Err(refuse("there is no file: choose it again")),
        };
        self.brought = Some(Brought { name, dataset, splits: Rc::new(splits) });
        self.tell_data(emit);
        Ok(())
    }

    pub(super) fn label(&mut self, class: &str, pixels: &[u8], emit: &dyn Fn(Event)) -> Result<(), CommandError> {
        if pixels.len() != IMAGE_LEN {
            return Err(refuse("that is no image of 32 x 32"));
        }
        if class.is_empty() {
            return Err(refuse("give the image's class a name"));
        }
        self.own.add(pixels, class);
        self.tell_data(emit);
        Ok(())
    }

    pub(super) fn tell_data(&self, emit: &dyn Fn(Event)) {
        let brought = self.brought.as_ref();
        let mut classes = match brought {
            Some(brought) => brought.splits.train.classes.clone(),
            None => synthetic::generate(0, 0, 0).train.classes,
        };
        classes.extend(self.own.classes.iter().filter(|own| !classes.contains(own)).cloned().collect::<Vec<_>>());
        let count = |label: usize| self.own.labels.iter().filter(|&&l| usize::from(l) == label).count();
        let data = DataInfo {
            brought: brought.map(|Brought { name, dataset, splits }| {
                (name.clone(), dataset.to_string(), [splits.train.len(), splits.test.len()])
            }),
            own: self.own.classes.iter().enumerate().map(|(label, class)| (class.clone(), count(label))).collect(),
            classes,
        };
        emit(Event::Data { data });
    }

    /// The set of a run, with images that a user labeled, which count as images to train on.
    pub(super) fn splits(&self, config: &TrainConfig, own: &ImageSet) -> Result<Rc<Splits>, CommandError> {
        let splits = match (&self.brought, config.dataset) {
            (_, Dataset::Synthetic) => Rc::new(synthetic::default_splits([config.limit, config.limit_test])),
            (Some(brought), dataset) if brought.dataset == dataset => brought.splits.clone(),
            (_, dataset) => {
                let text =
                    format!("this run trains on {dataset}: open its archive under “Bring images to learn from” first");
                return Err(CommandError(ErrorScope::Training, text));
            }
        };
        let Splits { train, test } = &*splits;
        let limit = |n: usize, all: usize| if n == 0 { all } else { n.min(all) };
        let sizes = [limit(config.limit, train.len()), limit(config.limit_test, test.len())];
        if test.is_empty() {
            return Err(CommandError(ErrorScope::Training, "there are no images to judge by".into()));
        }
        if !config.extra.is_empty() {
            let text = format!(
                "this run also learns from {}, which the page does not have: go on with it natively, by train --resume",
                config.extra
            );
            return Err(CommandError(ErrorScope::Training, text));
        }
        if own.is_empty() && config.validation == 0 && sizes == [train.len(), test.len()] {
            return Ok(splits);
        }
        let mut splits = Splits { train: train.subsample(sizes[0]), test: test.subsample(sizes[1]) };
        splits.extend_with(own);
        // Natively an epoch is chosen by these: here they are just left out, so that all steps are the same.
        splits.train.split_off_stratified(config.validation);
        Ok(Rc::new(splits))
    }
}

/// The bytes of a file.
fn whole(path: &str, file: &mut dyn Source) -> Result<Vec<u8>, data::Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|reason: io::Error| data::Error::Io { path: path.to_owned(), reason })?;
    Ok(bytes)
}
