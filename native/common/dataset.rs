//! Loads the data set that the options name, and downloads CIFAR if no path is given.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use otjr::data::{
    self, Dataset, ImageSet, Splits, archive,
    cifar::{self, CifarVersion},
    folder, synthetic,
};

use crate::{
    console::Console,
    download::{self, Published},
    interrupt::Interrupt,
};

/// URL of the folder that contains the CIFAR archives.
const CIFAR_URL: &str = "https://www.cs.toronto.edu/~kriz";

/// How to download data sets that are not on this machine.
pub struct DownloadOptions<'a> {
    /// Replaces the authors' site.
    pub url: Option<&'a str>,
    /// Where progress is shown.
    pub console: Console,
    /// Stops the download.
    pub interrupt: &'a Interrupt,
}

/// Loads the data set at `path`. CIFAR is searched in the cache and downloaded if `path` is empty.
///
/// `limits` are the maximum numbers of training and test images; 0 means all. Returns `None` if the download was
/// interrupted.
///
/// # Errors
/// If the data cannot be downloaded or read, or one of the halves contains no images.
pub fn load(
    dataset: Dataset,
    path: &str,
    limits: [usize; 2],
    download: &DownloadOptions,
) -> anyhow::Result<Option<Splits>> {
    let cifar = |version| -> anyhow::Result<Option<Splits>> {
        let path = if path.is_empty() { download.cifar_archive(version)? } else { Some(path.into()) };
        Ok(path.map(|path| cifar::open(version, &path)).transpose()?)
    };
    let splits = match dataset {
        Dataset::Synthetic => Some(synthetic::default_splits(limits)),
        Dataset::Cifar10 => cifar(CifarVersion::Cifar10)?,
        Dataset::Cifar100 => cifar(CifarVersion::Cifar100)?,
        Dataset::Folder if path.is_empty() => bail!("--dataset folder needs --data-dir: the folder or zip of images"),
        Dataset::Folder if Path::new(path).is_file() => {
            let file = File::open(path).with_context(|| format!("could not read {path}"))?;
            Some(archive::read(path, BufReader::new(file))?.1)
        }
        Dataset::Folder => Some(folder::open(Path::new(path))?),
    };
    let Some(mut splits) = splits else { return Ok(None) };
    limit(&mut splits.train, limits[0]);
    limit(&mut splits.test, limits[1]);
    for (name, images) in [("training", &splits.train), ("test", &splits.test)] {
        if images.is_empty() {
            return Err(data::Error::Format { path: path.into(), problem: format!("no {name} images") })
                .context("the data set is incomplete");
        }
    }
    Ok(Some(splits))
}

/// Keeps `n` images, spread evenly (0: all).
fn limit(images: &mut ImageSet, n: usize) {
    if n > 0 && n < images.len() {
        *images = images.subsample(n);
    }
}

impl DownloadOptions<'_> {
    /// Returns the path of the archive. Downloads it if none of the [`folders`] contains it.
    fn cifar_archive(&self, version: CifarVersion) -> anyhow::Result<Option<PathBuf>> {
        let name = version.archive_name();
        let folders = folders();
        if let Some(here) = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists()) {
            return Ok(Some(here));
        }
        let by_hand = format!("download {CIFAR_URL}/{name} and give its path as --data-dir");
        let folder =
            folders.first().with_context(|| format!("there is no home directory to store {name} in: {by_hand}"))?;
        self.console.print(format_args!("Downloading {name} to {}", folder.display()));
        let bar = "{bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        let bar = self.console.progress_bar(0, bar)?;
        let (file, url) = (Published { name, md5: version.md5() }, self.url.unwrap_or(CIFAR_URL));
        let downloaded = download::fetch(file, url, folder, &bar, &|| self.interrupt.raised());
        bar.finish_and_clear();
        downloaded.with_context(|| {
            let folder = folder.display();
            format!("{name} could not be downloaded; try again, or {by_hand}, or put it into {folder}")
        })
    }
}

/// Returns the folders of downloaded data: `$OTJR_DATA` and the user's cache. New data is stored in the first.
fn folders() -> Vec<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_CIFAR_URL").or_else(|| Some(env::home_dir()?.join(".cache")));
    named("OTJR_DATA").into_iter().chain(cache.map(|cache| cache.join("otjr/data"))).collect()
}
