use std::io::Cursor;

use otjr::data::{Error, ImageSet, npz::read};
use zip::CompressionMethod;

use super::{archive::zip, assert_refused};

/// Returns an array in the format of `numpy.save`.
fn npy(of_type: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{of_type}', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", (padded.len() as u16).to_le_bytes().as_slice(), padded.as_bytes(), bytes].concat()
}

/// Two images whose channels are 10, 20, 30 and 40, 50, 60.
fn images() -> Vec<u8> {
    [[10, 20, 30], [40, 50, 60]].iter().flat_map(|pixel| pixel.repeat(1024)).collect()
}

fn open(image: Vec<u8>, label: Vec<u8>) -> Result<ImageSet, Error> {
    let members = [("image.npy", image), ("label.npy", label)];
    read("x.npz", Cursor::new(zip(&members, CompressionMethod::Deflated)))
}

#[test]
fn images_and_labels_are_read() {
    for (of_type, width) in [("|u1", 1), ("<i4", 4), ("<i8", 8)] {
        let labels: Vec<u8> = [3u64, 1].iter().flat_map(|label| label.to_le_bytes()[..width].to_vec()).collect();
        let set = open(npy("|u1", "(2, 32, 32, 3)", &images()), npy(of_type, "(2,)", &labels)).unwrap();
        assert_eq!(set.labels, [3, 1]);
        assert_eq!(set.classes, ["0", "1", "2", "3"]);
        for (image, levels) in [[10, 20, 30], [40, 50, 60]].iter().enumerate() {
            for (plane, level) in set.image(image).chunks(1024).zip(levels) {
                assert!(plane.iter().all(|v| v == level));
            }
        }
    }
}

#[test]
fn other_arrays_are_refused() {
    let (image, label) = (npy("|u1", "(2, 32, 32, 3)", &images()), npy("|u1", "(2,)", &[0, 1]));
    let floats = npy("<f4", "(2, 32, 32, 3)", &images());
    assert_refused(open(floats, label.clone()), &["x.npz/image.npy", "|u1", "<f4"]);
    let planar = npy("|u1", "(2, 3, 32, 32)", &images());
    assert_refused(open(planar, label.clone()), &["[2, 3, 32, 32], not [N, 32, 32, 3]"]);
    assert_refused(open(npy("|u1", "(0, 32, 32, 3)", &[]), label.clone()), &["N from 1"]);
    assert_refused(open(npy("|u1", "(9, 32, 32, 3)", &images()), label.clone()), &["truncated"]);
    let huge = npy("|u1", "(99999999999, 32, 32, 3)", &images());
    assert_refused(open(huge, label.clone()), &["more than 2000000 images"]);
    assert_refused(open(b"not an array".to_vec(), label.clone()), &["is not a NumPy array"]);
    assert_refused(open(image.clone(), npy("|u1", "(3,)", &[0, 1, 2])), &["label.npy", "there are 2 images"]);
    assert_refused(read("x.npz", Cursor::new(b"no zip")), &["x.npz", "is not an .npz file"]);
    for label in [-1i32, 65_536] {
        let wide = [0, label].map(i32::to_le_bytes).concat();
        assert_refused(open(image.clone(), npy("<i4", "(2,)", &wide)), &["label.npy", "above 65535"]);
    }
    let alone = zip(&[("image.npy", image)], CompressionMethod::Stored);
    assert_refused(read("x.npz", Cursor::new(alone)), &["x.npz/label.npy", "numpy.savez"]);
}
