//! Tests of the readers of images and data sets.

mod archive;
mod augment;
mod cifar;
mod folder;
mod image;
mod npz;
mod synthetic;

use otjr::data::{Error, IMAGE_LEN, ImageSet};

/// Asserts that `result` is an error whose message contains each of `parts`.
#[track_caller]
pub fn assert_refused<T>(result: Result<T, Error>, parts: &[&str]) {
    let message = result.err().expect("it was accepted").to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn images_are_added_by_class() {
    let mut images = ImageSet { classes: vec!["cat".into(), "dog".into()], ..ImageSet::default() };
    for (level, class) in [(1, "dog"), (2, "newt"), (3, "cat"), (4, "newt")] {
        images.add(&[level; IMAGE_LEN], class);
    }
    assert_eq!((images.labels.as_slice(), images.len()), ([1, 2, 0, 2].as_slice(), 4));
    assert_eq!(images.classes, ["cat", "dog", "newt"]);
    assert_eq!(images.image(3), [4; IMAGE_LEN]);
}

/// The FNV-1a hash, which needs no dependency and detects changed bits.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
