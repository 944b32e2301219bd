//! Opens the data set that a config names.

use std::path::Path;

use anyhow::{Context, bail};
use otjr::{
    config::{Dataset, TrainConfig},
    data::{self, Pictures, Splits, cifar, folder, synthetic},
};

/// Loads and limits the pictures.
pub fn load(config: &TrainConfig) -> anyhow::Result<Splits> {
    let path = Path::new(&config.data_dir);
    if config.dataset != Dataset::Synthetic && config.data_dir.is_empty() {
        bail!("--dataset {} needs --data-dir: the directory or archive that holds it", config.dataset);
    }
    let mut splits = match config.dataset {
        // Numbers for the set itself: its pictures do not change with the seed of a run.
        Dataset::Synthetic => {
            synthetic::generate(0, limit_or(config.limit, 10_000), limit_or(config.limit_test, 2_000))
        }
        Dataset::Cifar10 => cifar::open(cifar::Version::Cifar10, path)?,
        Dataset::Cifar100 => cifar::open(cifar::Version::Cifar100, path)?,
        Dataset::Folder => folder::open(path)?,
    };
    limit(&mut splits.train, config.limit);
    limit(&mut splits.test, config.limit_test);
    for (name, pictures) in [("training", &splits.train), ("test", &splits.test)] {
        if pictures.is_empty() {
            return Err(data::Error::Format { path: config.data_dir.clone(), problem: format!("no {name} pictures") })
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
