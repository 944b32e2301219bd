//! Opens the data set that options name, and fetches it if they do not say where it is.

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

/// Where CIFAR is published.
const HOME: &str = "https://www.cs.toronto.edu/~kriz";

/// How to come by images that are not here.
pub struct Fetching<'a> {
    /// Where to, if not to [`HOME`].
    pub url: Option<&'a str>,
    pub console: Console,
    pub interrupt: &'a Interrupt,
}

/// Loads the images of a set at `path` (CIFAR: or wherever they can be had, if it is empty), at most `limits` of the
/// training and test halves (0: all). None if fetching them was interrupted.
pub fn load(dataset: Dataset, path: &str, limits: [usize; 2], fetching: &Fetching) -> anyhow::Result<Option<Splits>> {
    let cifar = |version| -> anyhow::Result<Option<Splits>> {
        let path = if path.is_empty() { fetching.archive(version)? } else { Some(path.into()) };
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

/// Keeps `n` images (0: all).
fn limit(images: &mut ImageSet, n: usize) {
    if n > 0 && n < images.len() {
        *images = images.subsample(n);
    }
}

impl Fetching<'_> {
    /// The archive of a set, fetched if it is in none of the [`folders`].
    fn archive(&self, version: CifarVersion) -> anyhow::Result<Option<PathBuf>> {
        let name = version.archive_name();
        let folders = folders();
        if let Some(here) = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists()) {
            return Ok(Some(here));
        }
        let by_hand = format!("by other means download {HOME}/{name} and give its path as --data-dir");
        let folder =
            folders.first().with_context(|| format!("there is no home directory to keep {name} in: {by_hand}"))?;
        self.console.say(format_args!("Fetching {name} into {}", folder.display()));
        let bar = "{bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        let bar = self.console.bar(0, bar)?;
        let (file, url) = (Published { name, md5: version.md5() }, self.url.unwrap_or(HOME));
        let fetched = download::fetch(file, url, folder, &bar, &|| self.interrupt.raised());
        bar.finish_and_clear();
        fetched.with_context(|| {
            let folder = folder.display();
            format!("{name} is not here and could not be fetched; try again, or {by_hand}, or put it into {folder}")
        })
    }
}

/// Where data is kept: `$OTJR_DATA`, and the user's cache. The first is where new data goes.
fn folders() -> Vec<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    named("OTJR_DATA").into_iter().chain(cache.map(|cache| cache.join("otjr/data"))).collect()
}
