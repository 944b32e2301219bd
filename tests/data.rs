//! Bytes -> pictures.

mod data {
    mod archive;
    mod augment;
    mod cifar;
    mod folder;
    mod npz;
    mod picture;
    mod synthetic;

    use otjr::data::{Error, Pictures, VALUES};

    /// That `result` is refused with a message that holds each of `parts`.
    #[track_caller]
    pub fn assert_refused<T>(result: Result<T, Error>, parts: &[&str]) {
        let message = result.err().expect("it was accepted").to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn pictures_are_added_by_class() {
        let mut pictures = Pictures { classes: vec!["cat".into(), "dog".into()], ..Pictures::default() };
        for (level, class) in [(1, "dog"), (2, "newt"), (3, "cat"), (4, "newt")] {
            pictures.add(&[level; VALUES], class);
        }
        assert_eq!((pictures.labels.as_slice(), pictures.len()), ([1, 2, 0, 2].as_slice(), 4));
        assert_eq!(pictures.classes, ["cat", "dog", "newt"]);
        assert_eq!(pictures.picture(3), [4; VALUES]);
    }

    /// FNV-1a: enough to notice a changed bit, and no dependency.
    pub fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
