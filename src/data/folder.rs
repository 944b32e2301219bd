//! A data set of one's own: a directory of picture files, one folder a class.
//!
//! Either `DIR/CLASS/*` or, split beforehand, `DIR/train/CLASS/*` and `DIR/test/CLASS/*` (or `val` for `test`).
//! Pictures are those whose names end in png, jpg, jpeg, gif, webp or bmp; other files and hidden ones are passed over.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Pictures, Splits, picture};

/// Without a test folder, one picture in so many of each class is held out.
const HELD_OUT: usize = 10;

/// Reads the directory. Classes are numbered in the order of their names.
///
/// # Errors
/// If a file cannot be read or decoded, a class is empty, there is none, or none is left to test on.
pub fn open(dir: &Path) -> Result<Splits, Error> {
    let test_dir = ["test", "val"].map(|name| dir.join(name)).into_iter().find(|path| path.is_dir());
    let train_dir = Some(dir.join("train")).filter(|path| path.is_dir());
    match (train_dir, test_dir) {
        (Some(train_dir), Some(test_dir)) => {
            let train = read_classes(&train_dir)?;
            let test = read_classes(&test_dir)?;
            if train.classes != test.classes {
                let problem = format!(
                    "its classes are {}, but those in {} are {}: give both the same folders",
                    test.classes.join(", "),
                    train_dir.display(),
                    train.classes.join(", ")
                );
                return Err(refuse(&test_dir, problem));
            }
            Ok(Splits { train, test })
        }
        (Some(train_dir), None) => hold_out(&train_dir),
        (None, Some(test_dir)) => Err(refuse(
            &test_dir,
            "has no folder 'train' beside it: add it, or put the classes straight into one folder",
        )),
        (None, None) => hold_out(dir),
    }
}

/// Splits the classes in `dir` by setting every tenth picture of each aside for the test.
fn hold_out(dir: &Path) -> Result<Splits, Error> {
    let all = read_classes(dir)?;
    let mut seen = vec![0; all.classes.len()];
    let (test, train): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|&i| {
        let n = &mut seen[usize::from(all.labels[i])];
        *n += 1;
        *n % HELD_OUT == 0
    });
    if let Some(class) = seen.iter().position(|&n| n < HELD_OUT) {
        let problem = format!(
            "has {} pictures, but one in {HELD_OUT} is held out for the test: add some, or a folder 'test' to 'train'",
            seen[class]
        );
        return Err(refuse(&dir.join(&all.classes[class]), problem));
    }
    Ok(Splits { train: all.select(&train), test: all.select(&test) })
}

/// All pictures of `dir/CLASS/*`, by class and file name.
fn read_classes(dir: &Path) -> Result<Pictures, Error> {
    let folders: Vec<_> = entries(dir)?.into_iter().filter(|path| path.is_dir()).collect();
    if folders.is_empty() {
        return Err(refuse(dir, "holds no folders: put the pictures of each class into a folder named after it"));
    }
    if folders.len() > usize::from(u16::MAX) {
        return Err(refuse(
            dir,
            format!("holds {} folders, more than the {} classes possible", folders.len(), u16::MAX),
        ));
    }
    let mut pictures = Pictures::default();
    for (label, folder) in (0..).zip(&folders) {
        pictures.classes.push(file_name(folder));
        let before = pictures.len();
        for path in entries(folder)?.iter().filter(|path| is_picture(path)) {
            let bytes = fs::read(path).map_err(|source| Error::Io { path: path.display().to_string(), source })?;
            pictures.pixels.extend(picture::decode(&bytes, &path.display().to_string())?.pixels);
            pictures.labels.push(label);
        }
        if pictures.len() == before {
            let problem =
                "is a class without pictures (png, jpg, jpeg, gif, webp or bmp): add some or remove the folder";
            return Err(refuse(folder, problem));
        }
    }
    Ok(pictures)
}

/// What lies in `dir`, hidden entries left out, sorted by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io { path: dir.display().to_string(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["png", "jpg", "jpeg", "gif", "webp", "bmp"].contains(&extension.as_str())
}

fn refuse(path: &Path, problem: impl Into<String>) -> Error {
    Error::Format { path: path.display().to_string(), problem: problem.into() }
}
