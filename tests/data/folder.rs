use std::fs;
use std::path::Path;

use otjr::data::folder::{open, read};
use otjr::data::image::encode_png;
use otjr::data::{Error, IMAGE_LEN, Splits};

use super::assert_refused;

/// Writes `n` images with the gray levels 0, 1, ... to `dir`.
fn fill(dir: &Path, n: u8) {
    fs::create_dir_all(dir).unwrap();
    for i in 0..n {
        fs::write(dir.join(format!("{i:03}.png")), encode_png(&[i; IMAGE_LEN])).unwrap();
    }
}

/// Returns the gray level of each image.
pub fn levels(pixels: &[u8]) -> Vec<u8> {
    pixels.iter().copied().step_by(IMAGE_LEN).collect()
}

#[test]
fn every_tenth_image_of_a_class_is_held_out() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("dog"), 20);
    fill(&dir.path().join("cat"), 11);
    fill(&dir.path().join(".git"), 1);
    fs::write(dir.path().join("cat/.hidden.png"), "not an image").unwrap();
    fs::write(dir.path().join("cat/notes.txt"), "not an image").unwrap();
    fs::write(dir.path().join("README"), "not a class").unwrap();
    let Splits { train, test } = open(dir.path()).unwrap();
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!(test.classes, train.classes);
    assert_eq!(levels(&test.pixels), [9, 9, 19]);
    assert_eq!(test.labels, [0, 1, 1]);
    assert_eq!(train.labels.iter().filter(|&&label| label == 0).count(), 10);
    assert_eq!(levels(&train.pixels)[8..11], [8, 10, 0]);
}

#[test]
fn the_last_of_few_images_is_held_out() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("cat"), 2);
    fill(&dir.path().join("dog"), 9);
    let Splits { train, test } = open(dir.path()).unwrap();
    assert_eq!((train.labels.len(), levels(&test.pixels)), (9, vec![1, 8]));
}

#[test]
fn predefined_splits_are_used() {
    for name in ["test", "val"] {
        let dir = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fill(&dir.path().join("train").join(class), 3);
            fill(&dir.path().join(name).join(class), 1);
        }
        let Splits { train, test } = open(dir.path()).unwrap();
        assert_eq!((train.labels, test.labels), (vec![0, 0, 0, 1, 1, 1], vec![0, 1]));
    }
    // `train` without `test`: test images are held out.
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train/a"), 10);
    let Splits { train, test } = open(dir.path()).unwrap();
    assert_eq!((train.len(), test.len()), (9, 1));
}

/// Calls [`read`] with images whose gray level is their index in the list of paths.
fn read_levels(paths: &[&str]) -> Result<Splits, Error> {
    let paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
    read("set", &paths, |i| Ok(encode_png(&[i as u8; IMAGE_LEN])))
}

#[test]
fn lists_of_paths_are_read_like_directories() {
    let paths = [
        "train/b/2.png",
        "__MACOSX/train/a/._1.png",
        "train/a/2.JPG",
        "test/",
        "test/b/9.png",
        ".DS_Store",
        "train/a/",
        "train/a/1.png",
        "test/a/7.webp",
        "train/a/.thumbs/0.png",
        "train/a/too/deep/1.png",
        "readme.txt",
    ];
    let check = |around: &str| {
        let paths = paths.map(|path| format!("{around}{path}"));
        let Splits { train, test } = read_levels(&paths.each_ref().map(String::as_str)).unwrap();
        assert_eq!((levels(&train.pixels), levels(&test.pixels)), (vec![7, 2, 0], vec![8, 4]), "{around}");
        assert_eq!((train.labels, test.labels), (vec![0, 0, 1], vec![0, 1]));
        assert_eq!(
            (train.classes, test.classes),
            (["a", "b"].map(String::from).to_vec(), vec!["a".into(), "b".into()])
        );
    };
    ["", "./", "my set/", "my set/./"].into_iter().for_each(check);
}

#[test]
fn a_wrapper_folder_is_not_a_class() {
    let numbered = |folder: &str| (0..10).map(|i| format!("{folder}/{i}.png")).collect::<Vec<_>>();
    let classes = |paths: &[String]| {
        read_levels(&paths.iter().map(String::as_str).collect::<Vec<_>>()).map(|splits| splits.test.classes)
    };
    assert_eq!(classes(&numbered("cat")).unwrap(), ["cat"]);
    assert_eq!(classes(&numbered("my/cat")).unwrap(), ["cat"]);
    assert_eq!(classes(&numbered("my/train/cat")).unwrap(), ["cat"]);
    assert_eq!(classes(&[numbered("a"), numbered("b")].concat()).unwrap(), ["a", "b"]);
    assert_refused(classes(&[numbered("my/cat"), numbered("dog")].concat()), &["set/my: is a class without images"]);
    assert_refused(classes(&numbered("my/test/cat")), &["set/my/test", "no folder 'train'"]);
    assert_refused(
        classes(&[numbered("my/train/cat"), numbered("my/val/cow")].concat()),
        &["set/my/val: its", "set/my/train"],
    );
    assert_refused(classes(&["my/cat/1.png".into()]), &["set/my/cat: has one image"]);
    assert_refused(classes(&["1.png".into()]), &["set: contains no class folders"]);
    assert_refused(classes(&[]), &["set: contains no class folders"]);
}

/// Files are read one at a time, and only after all paths have been checked.
#[test]
fn files_are_read_one_at_a_time() {
    let paths: Vec<String> = (0..20).map(|i| format!("cat/{i:02}.png")).chain(["cat/notes.txt".into()]).collect();
    let mut read_files = Vec::new();
    let bytes = |i: usize| {
        read_files.push(i);
        Ok(encode_png(&[0; IMAGE_LEN]))
    };
    read("set", &paths, bytes).unwrap();
    read_files.sort();
    assert_eq!(read_files, (0..20).collect::<Vec<_>>());
    let unread = |_| panic!("the paths alone are wrong");
    assert_refused(read("set", &paths[..1], unread), &["has one image"]);
    let broken = |_| Err(Error::Format { path: "x".into(), problem: "was unplugged".into() });
    assert_refused(read("set", &paths, broken), &["x: was unplugged"]);
    assert_refused(read("set/", &paths, |_| Ok(b"text".to_vec())), &["set/cat/00.png: is not an image"]);
}

#[test]
fn errors_name_the_problem() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_refused(open(&dir.join("nowhere")), &["nowhere"]);
    assert_refused(open(dir), &[&dir.display().to_string(), "contains no class folders", "named after it"]);

    fill(&dir.join("cat"), 1);
    assert_refused(open(dir), &["cat", "has one image", "held out"]);

    fill(&dir.join("cat"), 10);
    fs::create_dir(dir.join("dog")).unwrap();
    assert_refused(open(dir), &["dog", "without images"]);

    // Enough files to hold one out, which is checked before decoding.
    fill(&dir.join("dog"), 9);
    fs::write(dir.join("dog/bad.PNG"), "text").unwrap();
    assert_refused(open(dir), &["bad.PNG", "is not an image"]);
}

#[test]
fn splits_must_have_the_same_classes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fill(&dir.join("test/cat"), 1);
    assert_refused(open(dir), &["test", "no folder 'train'"]);
    fill(&dir.join("train/dog"), 1);
    assert_refused(open(dir), &["test", "cat", "dog", "the same folders"]);
}
