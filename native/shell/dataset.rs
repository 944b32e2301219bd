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
        // Numbers for the set itself: its pictures do not change with the seed of a run.
        Dataset::Synthetic => synthetic::generate(0, limit_or(limits[0], 10_000), limit_or(limits[1], 2_000)),
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

fn limit_or(limit: usize, otherwise: usize) -> usize {
    if limit == 0 { otherwise } else { limit }
}

/// Keeps `n` pictures spread evenly over the set (0: all): files may be sorted by class.
fn limit(pictures: &mut Pictures, n: usize) {
    if n == 0 || n >= pictures.len() {
        return;
    }
    let ids: Vec<usize> = (0..n).map(|i| i * pictures.len() / n).collect();
    *pictures = pictures.select(&ids);
}
