//! A data set of one's own: image files, one folder a class, on disk, in a zip or wherever else files have paths.
//!
//! Either `CLASS/*` or, split beforehand, `train/CLASS/*` and `test/CLASS/*` (or `val` for `test`), and all of that may
//! lie in one more folder, as in zips and directory pickers. Images are those whose names end in png, jpg, jpeg, gif,
//! webp or bmp; other files are passed over, and so is what is hidden (`.git`) or a Mac's own (`__MACOSX`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, ImageSet, Splits, image, refuse};

/// Without a test folder, one image in so many of each class is held out, and one at least.
const HELD_OUT: usize = 10;
/// Folders around an image at most: the one around all, `train`, the class.
const DEEPEST: usize = 3;
const TRAIN: &str = "train";
/// Names of the test folder; the first that is there counts.
const TEST: [&str; 2] = ["test", "val"];

/// Reads the directory. Classes are numbered in the order of their names.
///
/// # Errors
/// If the directory cannot be listed; and those of [`read`].
pub fn open(dir: &Path) -> Result<Splits, Error> {
    let (mut paths, mut files) = (Vec::new(), Vec::new());
    list(dir, "", DEEPEST, &mut |path, file| {
        paths.push(path);
        files.push(file);
    })?;
    read(&dir.display().to_string(), &paths, |i| fs::read(&files[i]).map_err(|source| io(&files[i], source)))
}

/// Reads the images among `paths`, in any order, such as `train/cat/1.png`; a path that ends in `/` is a folder.
/// `bytes(i)` is the content of the file `paths[i]`, asked for at most once, so that no two need be in memory; `name` is
/// what holds them all, for messages. Classes are numbered in the order of their names.
///
/// # Errors
/// Those of `bytes`; if an image cannot be decoded, a class is empty, there is none, or none is left to test on.
pub fn read(
    name: &str,
    paths: &[String],
    mut bytes: impl FnMut(usize) -> Result<Vec<u8>, Error>,
) -> Result<Splits, Error> {
    let name = name.trim_end_matches('/');
    let mut root = Folder::new(paths);
    let place = root.pop_wrapper().map_or(name.to_owned(), |top| format!("{name}/{top}"));

    let given = TEST.into_iter().find_map(|test| root.folders.remove_entry(test));
    let (mut train, path) = match (root.folders.remove(TRAIN), &given) {
        (Some(train), _) => (train, format!("{place}/{TRAIN}")),
        (None, None) => (root, place.clone()),
        (None, Some((test, _))) => {
            let problem = "has no folder 'train' beside it: add it, or put the classes straight into one folder";
            return Err(refuse(&format!("{place}/{test}"), problem));
        }
    };
    // All that the paths can tell is checked before the first image is decoded.
    let classes = train.classes(&path)?;
    let test = match given {
        Some((test_name, test)) => {
            let beside = format!("{place}/{test_name}");
            let found = test.classes(&beside)?;
            if found != classes {
                let (found, classes) = (found.join(", "), classes.join(", "));
                let problem =
                    format!("its classes are {found}, but those in {path} are {classes}: give both the same folders");
                return Err(refuse(&beside, problem));
            }
            test
        }
        None => train.hold_out(&path)?,
    };
    let mut load = |folder: Folder| -> Result<ImageSet, Error> {
        let mut images = ImageSet { classes: classes.clone(), ..ImageSet::default() };
        for (label, class) in (0..).zip(folder.folders.values()) {
            for &i in class.images.values() {
                images.pixels.extend(image::decode_and_crop(&bytes(i)?, &format!("{name}/{}", paths[i]))?.pixels);
                images.labels.push(label);
            }
        }
        Ok(images)
    };
    Ok(Splits { train: load(train)?, test: load(test)? })
}

/// What lies in a folder, by name.
#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    /// Their places in the list of paths.
    images: BTreeMap<&'a str, usize>,
}

impl<'a> Folder<'a> {
    fn new(paths: &'a [String]) -> Self {
        let mut root = Self::default();
        for (i, path) in paths.iter().enumerate() {
            let (around, file) = path.rsplit_once('/').unwrap_or(("", path));
            let around = || around.split('/').filter(|part| !matches!(*part, "" | "."));
            if around().count() > DEEPEST || around().chain([file]).any(is_hidden) {
                continue;
            }
            let folder = around().fold(&mut root, |folder, part| folder.folders.entry(part).or_default());
            if is_image(file) {
                folder.images.insert(file, i);
            }
        }
        root
    }

    /// If all lies in one folder that is neither class nor split, becomes that one and returns its name.
    fn pop_wrapper(&mut self) -> Option<&'a str> {
        let (top, inside) = self.folders.first_key_value()?;
        let meant = *top == TRAIN || TEST.contains(top) || inside.folders.is_empty() || !inside.images.is_empty();
        if meant || self.folders.len() > 1 {
            return None;
        }
        let (top, inside) = self.folders.pop_first()?;
        *self = inside;
        Some(top)
    }

    /// The names of its folders, each of which must hold images. `path` is for messages.
    fn classes(&self, path: &str) -> Result<Vec<String>, Error> {
        let n = self.folders.len();
        if n == 0 {
            return Err(refuse(path, "holds no folders: put the images of each class into a folder named after it"));
        }
        if n > usize::from(u16::MAX) {
            return Err(refuse(path, format!("holds {n} folders, more than the {} classes possible", u16::MAX)));
        }
        if let Some((class, _)) = self.folders.iter().find(|(_, class)| class.images.is_empty()) {
            let problem = "is a class without images (png, jpg, jpeg, gif, webp or bmp): add some or remove the folder";
            return Err(refuse(&format!("{path}/{class}"), problem));
        }
        Ok(self.folders.keys().map(|&class| class.to_owned()).collect())
    }

    /// Takes every tenth image of each class out for the test, of fewer the last. `path` is for messages.
    fn hold_out(&mut self, path: &str) -> Result<Self, Error> {
        let mut test = Self::default();
        for (class, folder) in &mut self.folders {
            let n = folder.images.len();
            if n < 2 {
                let problem =
                    "has one image, but one is held out for the test: add some, or a folder 'test' to 'train'";
                return Err(refuse(&format!("{path}/{class}"), problem));
            }
            let (mut ordinals, every) = (1.., HELD_OUT.min(n));
            let held = folder.images.extract_if(.., |_, _| ordinals.next().is_some_and(|i| i % every == 0)).collect();
            test.folders.insert(class, Self { images: held, ..Self::default() });
        }
        Ok(test)
    }
}

/// Gives `found` all that lies in `dir` and up to `depth` folders deeper, but nothing hidden: its path, which begins with
/// `around`, and the file itself.
fn list(dir: &Path, around: &str, depth: usize, found: &mut impl FnMut(String, PathBuf)) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(|source| io(dir, source))? {
        let file = entry.map_err(|source| io(dir, source))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if is_hidden(&name) {
            continue;
        }
        if file.is_dir() {
            let path = format!("{around}{name}/");
            if depth > 0 {
                list(&file, &path, depth - 1, found)?;
            }
            found(path, file);
        } else {
            found(format!("{around}{name}"), file);
        }
    }
    Ok(())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|e| ["png", "jpg", "jpeg", "gif", "webp", "bmp"].contains(&e.as_str()))
}

fn io(path: &Path, reason: std::io::Error) -> Error {
    Error::Io { path: path.display().to_string(), reason }
}
