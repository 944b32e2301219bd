//! Data sets of image files with one folder per class, on disk, in a zip or in any other list of paths.
//!
//! Supported layouts are `CLASS/*` and the predefined split `train/CLASS/*` and `test/CLASS/*` (or `val` instead of
//! `test`). Either can be inside one more folder, as in most zips and in directory uploads. Files with the extensions
//! png, jpg, jpeg, gif, webp and bmp are images. All other files are ignored, as are hidden ones (`.git`) and the
//! metadata of macOS (`__MACOSX`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, ImageSet, Splits, format_error, image, io_error};

/// Without a test folder, one in `HELD_OUT` images of each class is held out for testing, and at least one.
const HELD_OUT: usize = 10;
/// Largest number of folders around an image: the wrapper, `train`, the class.
const MAX_DEPTH: usize = 3;
const TRAIN: &str = "train";
/// Names of the test folder, in order of preference.
const TEST: [&str; 2] = ["test", "val"];
/// File name extensions of images.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "bmp"];

/// Reads a directory. Classes are numbered in the alphabetical order of their names.
///
/// # Errors
/// If the directory cannot be listed; also the errors of [`read`].
pub fn open(dir: &Path) -> Result<Splits, Error> {
    let (mut paths, mut files) = (Vec::new(), Vec::new());
    visit_files(dir, "", MAX_DEPTH, &mut |path, file| {
        paths.push(path);
        files.push(file);
    })?;
    read(&dir.display().to_string(), &paths, |i| {
        fs::read(&files[i]).map_err(|reason| io_error(&files[i].display().to_string(), reason))
    })
}

/// Reads the images at `paths` (such as `train/cat/1.png`, in any order). A path that ends in `/` is a folder.
///
/// `read_file(i)` returns the content of the file `paths[i]`. It is called at most once per file, so only one file has
/// to be in memory at a time. `name` is the common root and is used in error messages only. Classes are numbered in the
/// alphabetical order of their names.
///
/// # Errors
/// If there are no classes, a class has no images or too few to hold one out, training and test classes differ, or an
/// image cannot be decoded; also the errors of `read_file`.
pub fn read(
    name: &str,
    paths: &[String],
    mut read_file: impl FnMut(usize) -> Result<Vec<u8>, Error>,
) -> Result<Splits, Error> {
    let name = name.trim_end_matches('/');
    // All checks of the paths come before the first image is decoded.
    let tree = split_tree(name, paths)?;
    let mut load = |folder: FolderTree| -> Result<ImageSet, Error> {
        let mut images = ImageSet { classes: tree.classes.clone(), ..ImageSet::default() };
        for (label, class) in (0..).zip(folder.folders.values()) {
            for &i in class.images.values() {
                let image = image::decode_and_crop(&read_file(i)?, &format!("{name}/{}", paths[i]))?;
                images.pixels.extend(image.pixels);
                images.labels.push(label);
            }
        }
        Ok(images)
    };
    Ok(Splits { train: load(tree.train)?, test: load(tree.test)? })
}

/// The class folders of both splits.
struct SplitTree<'a> {
    classes: Vec<String>,
    train: FolderTree<'a>,
    test: FolderTree<'a>,
}

/// Finds the training and test folders, or holds out test images if there is no test folder.
fn split_tree<'a>(name: &str, paths: &'a [String]) -> Result<SplitTree<'a>, Error> {
    let mut root = FolderTree::new(paths);
    let root_path = root.remove_wrapper().map_or(name.to_owned(), |wrapper| format!("{name}/{wrapper}"));
    let given_test = TEST.into_iter().find_map(|test| root.folders.remove_entry(test));
    let (mut train, train_path) = match (root.folders.remove(TRAIN), &given_test) {
        (Some(train), _) => (train, format!("{root_path}/{TRAIN}")),
        (None, None) => (root, root_path.clone()),
        (None, Some((test, _))) => {
            let problem =
                "has no folder 'train' next to it: add one, or put all class folders directly into one folder";
            return Err(format_error(&format!("{root_path}/{test}"), problem));
        }
    };
    let classes = train.class_names(&train_path)?;
    let test = match given_test {
        Some((test_name, test)) => {
            let test_path = format!("{root_path}/{test_name}");
            let test_classes = test.class_names(&test_path)?;
            if test_classes != classes {
                let (test_classes, classes) = (test_classes.join(", "), classes.join(", "));
                let problem = format!(
                    "its classes are {test_classes}, but those in {train_path} are {classes}: give both the same folders"
                );
                return Err(format_error(&test_path, problem));
            }
            test
        }
        None => train.hold_out(&train_path)?,
    };
    Ok(SplitTree { classes, train, test })
}

/// The folders and images in a folder, by name.
#[derive(Default)]
struct FolderTree<'a> {
    folders: BTreeMap<&'a str, FolderTree<'a>>,
    /// Indices into the list of paths.
    images: BTreeMap<&'a str, usize>,
}

impl<'a> FolderTree<'a> {
    fn new(paths: &'a [String]) -> Self {
        let mut root = Self::default();
        for (i, path) in paths.iter().enumerate() {
            let (parents, file) = path.rsplit_once('/').unwrap_or(("", path));
            let parents = || parents.split('/').filter(|part| !matches!(*part, "" | "."));
            if parents().count() > MAX_DEPTH || parents().chain([file]).any(is_hidden) {
                continue;
            }
            let folder = parents().fold(&mut root, |folder, part| folder.folders.entry(part).or_default());
            if is_image(file) {
                folder.images.insert(file, i);
            }
        }
        root
    }

    /// If the only entry is a folder that is neither a class nor a split, replaces `self` by it and returns its name.
    fn remove_wrapper(&mut self) -> Option<&'a str> {
        let (name, inner) = self.folders.first_key_value()?;
        let is_split = *name == TRAIN || TEST.contains(name);
        let is_class = inner.folders.is_empty() || !inner.images.is_empty();
        if is_split || is_class || self.folders.len() > 1 {
            return None;
        }
        let (name, inner) = self.folders.pop_first()?;
        *self = inner;
        Some(name)
    }

    /// Returns the names of the class folders. Each of them must contain images.
    fn class_names(&self, path: &str) -> Result<Vec<String>, Error> {
        let n = self.folders.len();
        if n == 0 {
            let problem = "contains no class folders: put the images of each class into a folder named after it";
            return Err(format_error(path, problem));
        }
        if n > usize::from(u16::MAX) {
            let problem = format!("contains {n} folders, but at most {} classes are supported", u16::MAX);
            return Err(format_error(path, problem));
        }
        if let Some((class, _)) = self.folders.iter().find(|(_, class)| class.images.is_empty()) {
            let problem = "is a class without images (png, jpg, jpeg, gif, webp or bmp): add some or remove the folder";
            return Err(format_error(&format!("{path}/{class}"), problem));
        }
        Ok(self.folders.keys().map(|&class| class.to_owned()).collect())
    }

    /// Removes every tenth image of each class (the last image of classes with fewer than ten) and returns them.
    fn hold_out(&mut self, path: &str) -> Result<Self, Error> {
        let mut test = Self::default();
        for (class, folder) in &mut self.folders {
            let n = folder.images.len();
            if n < 2 {
                let problem = "has one image, but one image of each class is held out for testing: add images, or a \
                               folder 'test' next to 'train'";
                return Err(format_error(&format!("{path}/{class}"), problem));
            }
            let interval = HELD_OUT.min(n);
            let mut position = 0;
            let is_held_out = |_: &&str, _: &mut usize| {
                position += 1;
                position % interval == 0
            };
            let images = folder.images.extract_if(.., is_held_out).collect();
            test.folders.insert(class, Self { images, ..Self::default() });
        }
        Ok(test)
    }
}

/// Calls `visit` with the relative path (starting with `prefix`) and the location of every file and folder in `dir`, up
/// to
/// `depth` levels deep. Hidden ones are skipped.
fn visit_files(dir: &Path, prefix: &str, depth: usize, visit: &mut impl FnMut(String, PathBuf)) -> Result<(), Error> {
    let dir_error = |reason| io_error(&dir.display().to_string(), reason);
    for entry in fs::read_dir(dir).map_err(dir_error)? {
        let file = entry.map_err(dir_error)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if is_hidden(&name) {
            continue;
        }
        if file.is_dir() {
            let path = format!("{prefix}{name}/");
            if depth > 0 {
                visit_files(&file, &path, depth - 1, visit)?;
            }
            visit(path, file);
        } else {
            visit(format!("{prefix}{name}"), file);
        }
    }
    Ok(())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
