use std::fs;
use std::path::Path;

use otjr::data::folder::open;
use otjr::data::picture::encode_png;
use otjr::data::{Splits, VALUES};

use super::assert_refused;

/// `n` pictures of the grey levels 0, 1, .. in `dir`.
fn fill(dir: &Path, n: u8) {
    fs::create_dir_all(dir).unwrap();
    for i in 0..n {
        fs::write(dir.join(format!("{i:03}.png")), encode_png(&[i; VALUES])).unwrap();
    }
}

/// The grey level of each picture.
fn levels(pixels: &[u8]) -> Vec<u8> {
    pixels.iter().copied().step_by(VALUES).collect()
}

#[test]
fn every_tenth_picture_of_a_class_is_held_out() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("dog"), 20);
    fill(&dir.path().join("cat"), 11);
    fill(&dir.path().join(".git"), 1);
    fs::write(dir.path().join("cat/.hidden.png"), "not a picture").unwrap();
    fs::write(dir.path().join("cat/notes.txt"), "not a picture").unwrap();
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
fn given_splits_are_kept() {
    for name in ["test", "val"] {
        let dir = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fill(&dir.path().join("train").join(class), 3);
            fill(&dir.path().join(name).join(class), 1);
        }
        let Splits { train, test } = open(dir.path()).unwrap();
        assert_eq!((train.labels, test.labels), (vec![0, 0, 0, 1, 1, 1], vec![0, 1]));
    }
    // `train` alone: the test is taken from it.
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train/a"), 10);
    let Splits { train, test } = open(dir.path()).unwrap();
    assert_eq!((train.len(), test.len()), (9, 1));
}

#[test]
fn what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_refused(open(&dir.join("nowhere")), &["nowhere"]);
    assert_refused(open(dir), &[&dir.display().to_string(), "holds no folders", "named after it"]);

    fill(&dir.join("cat"), 9);
    assert_refused(open(dir), &["cat", "has 9 pictures", "one in 10"]);

    fill(&dir.join("cat"), 10);
    fs::create_dir(dir.join("dog")).unwrap();
    assert_refused(open(dir), &["dog", "without pictures"]);

    fs::write(dir.join("dog/bad.PNG"), "text").unwrap();
    assert_refused(open(dir), &["bad.PNG", "is not a picture"]);
}

#[test]
fn splits_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fill(&dir.join("test/cat"), 1);
    assert_refused(open(dir), &["test", "no folder 'train'"]);
    fill(&dir.join("train/dog"), 1);
    assert_refused(open(dir), &["test", "cat", "dog", "the same folders"]);
}
