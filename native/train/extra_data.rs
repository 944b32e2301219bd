//! A second data set for training, such as generated images.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::Context;
use otjr::data::{ImageSet, Splits, archive, folder, npz};

/// Loads all images at `path`, a folder or an archive. Class names, or class numbers if there are no names, must match
/// `classes`.
pub fn load(path: &str, classes: &[String]) -> anyhow::Result<ImageSet> {
    let open = || File::open(path).map(BufReader::new).with_context(|| format!("could not read {path}"));
    let mut all = if path.ends_with(".npz") {
        npz::read(path, open()?)?
    } else {
        let Splits { mut train, test } =
            if Path::new(path).is_file() { archive::read(path, open()?)?.1 } else { folder::open(Path::new(path))? };
        train.pixels.extend(test.pixels);
        train.labels.extend(test.labels);
        train
    };
    let index = |class: &String| {
        let found = classes.iter().position(|known| known == class);
        found.with_context(|| format!("--extra {path}: its class '{class}' is not one of {}", classes.join(", ")))
    };
    let named: anyhow::Result<Vec<usize>> = all.classes.iter().map(index).collect();
    let numbered = all.classes.iter().enumerate().all(|(i, class)| *class == i.to_string());
    let labels = match named {
        Err(_) if numbered && all.classes.len() <= classes.len() => (0..all.classes.len()).collect(),
        named => named?,
    };
    all.labels.iter_mut().for_each(|l| *l = labels[usize::from(*l)] as u16);
    all.classes = classes.to_vec();
    Ok(all)
}
