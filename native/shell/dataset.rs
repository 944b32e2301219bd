//! Opens the data set that options name.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Context, bail};
use otjr::{
    config::Dataset,
    data::{self, Pictures, Splits, archive, cifar, folder, synthetic},
};

/// Loads the pictures of a set at `path`, at most `limits` of the training and test halves (0: all).
pub fn load(dataset: Dataset, path: &str, limits: [usize; 2]) -> anyhow::Result<Splits> {
    if dataset != Dataset::Synthetic && path.is_empty() {
        bail!("--dataset {dataset} needs --data-dir: the directory or archive that holds it");
    }
    let mut splits = match dataset {
        Dataset::Synthetic => synthetic::usual(limits),
        Dataset::Cifar10 => cifar::open(cifar::Version::Cifar10, Path::new(path))?,
        Dataset::Cifar100 => cifar::open(cifar::Version::Cifar100, Path::new(path))?,
        Dataset::Folder if Path::new(path).is_file() => {
            let file = File::open(path).with_context(|| format!("could not read {path}"))?;
            archive::read(path, BufReader::new(file))?.1
        }
        Dataset::Folder => folder::open(Path::new(path))?,
    };
    limit(&mut splits.train, limits[0]);
    limit(&mut splits.test, limits[1]);
    for (name, pictures) in [("training", &splits.train), ("test", &splits.test)] {
        if pictures.is_empty() {
            return Err(data::Error::Format { path: path.into(), problem: format!("no {name} pictures") })
                .context("the data set is incomplete");
        }
    }
    Ok(splits)
}

/// Keeps `n` pictures (0: all).
fn limit(pictures: &mut Pictures, n: usize) {
    if n > 0 && n < pictures.len() {
        *pictures = pictures.spread(n);
    }
}
