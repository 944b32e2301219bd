use std::io::{Cursor, Write};

use otjr::data::Dataset;
use otjr::data::archive::read;
use otjr::data::image::encode_png;
use otjr::data::{Error, IMAGE_LEN, Splits};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::assert_refused;
use super::cifar::{archive, assert_is_the_small_cifar10, cifar10, cifar100, files};
use super::folder::levels;

pub(super) fn zip(members: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
        } else {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn png(level: u8) -> Vec<u8> {
    encode_png(&[level; IMAGE_LEN])
}

fn set() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("my/", vec![]),
        ("my/test/dog/1.png", png(1)),
        ("my/train/dog/2.png", png(2)),
        ("my/train/cat/1.png", png(3)),
        ("my/test/cat/1.png", png(4)),
        ("__MACOSX/my/train/cat/._1.png", b"a fork".to_vec()),
        ("my/notes.txt", b"notes".to_vec()),
    ]
}

fn open(bytes: Vec<u8>) -> Result<(Dataset, Splits), Error> {
    read("x", Cursor::new(bytes))
}

#[test]
fn zips_of_class_folders_are_read() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let (dataset, Splits { train, test }) = open(zip(&set(), method)).unwrap();
        assert_eq!((dataset, train.classes.as_slice()), (Dataset::Folder, ["cat", "dog"].map(String::from).as_slice()));
        assert_eq!((levels(&train.pixels), levels(&test.pixels)), (vec![3, 2], vec![4, 1]));
    }
    let windows: Vec<_> = set().into_iter().map(|(name, bytes)| (name.replace('/', "\\"), bytes)).collect();
    let windows: Vec<_> = windows.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    assert_eq!(open(zip(&windows, CompressionMethod::Stored)).unwrap().1.test.labels, [0, 1]);
}

#[test]
fn cifar_version_is_detected_from_members() {
    let (dataset, splits) = open(archive("cifar-10-batches-bin", &files())).unwrap();
    assert_eq!(dataset, Dataset::Cifar10);
    assert_is_the_small_cifar10(splits);

    let files = [("train.bin", cifar100(&[99, 0])), ("test.bin", cifar100(&[7]))];
    let (dataset, splits) = open(archive("cifar-100-binary", &files)).unwrap();
    assert_eq!((dataset, splits.train.labels), (Dataset::Cifar100, vec![99, 0]));

    assert_refused(open(archive("d", &files[..1])), &["x", "has no test.bin", "CIFAR-100"]);
    assert_refused(open(archive("d", &[("test_batch.bin", cifar10(&[1]))])), &["has no data_batch_1.bin", "CIFAR-10:"]);
    let photos = archive("photos", &[("cat.jpg", vec![1])]);
    assert_refused(open(photos), &["x: contains no images of CIFAR-10 or CIFAR-100", "zip", "cifar-100-binary.tar.gz"]);
    assert_refused(open(archive("d", &[("data_batch_1", vec![1])])), &["Python version", "cifar-10-binary.tar.gz or"]);
}

#[test]
fn other_files_are_refused() {
    let wanted = ["x: ", "CIFAR-10", "zip"];
    for (bytes, what) in [
        (b"".as_slice(), "is empty"),
        (b" <!DOCTYPE html>", "is a web page"),
        (b"Rar!\x1a\x07\x01\x00", "is not a supported data set"),
        (&png(0), "is not a supported data set"),
    ] {
        assert_refused(open(bytes.to_vec()), &[[what].as_slice(), &wanted].concat());
    }
    assert_refused(open(zip(&[], CompressionMethod::Stored)), &["x: contains no class folders"]);
    assert_refused(
        open(zip(&[("cat/1.png", b"text".to_vec()); 1], CompressionMethod::Stored)),
        &["x/cat: has one image"],
    );
    let mut bad = set();
    bad[2].1 = b"text".to_vec();
    assert_refused(open(zip(&bad, CompressionMethod::Deflated)), &["x/my/train/dog/2.png: is not an image"]);
}

/// A zip that is truncated or has a flipped bit is rejected or gives the same images, and never causes a panic.
#[test]
fn damaged_zips_are_refused() {
    let bytes = zip(&set(), CompressionMethod::Deflated);
    for keep in (0..bytes.len()).step_by(17) {
        assert_refused(open(bytes[..keep].to_vec()), &["x: "]);
    }
    let whole = open(bytes.clone()).unwrap().1.train.pixels;
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x41;
        if let Ok((_, splits)) = open(bytes) {
            // An image can be missing if its name changed, but no image may differ.
            assert!(
                splits.train.pixels.chunks(IMAGE_LEN).all(|image| whole.chunks(IMAGE_LEN).any(|known| known == image))
            );
        }
    }
    let mut flipped = zip(&set(), CompressionMethod::Stored);
    let inside = flipped.windows(4).position(|window| window == b"IHDR").unwrap();
    flipped[inside + 5] ^= 1;
    assert_refused(open(flipped), &["x", "pack it again"]);
}

#[test]
fn protected_zips_are_refused() {
    let mut bytes = zip(&set(), CompressionMethod::Deflated);
    // Set the encryption flag (bit 0) in the local header and in the central directory.
    for (magic, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let headers: Vec<_> = (0..bytes.len() - 4).filter(|&at| bytes[at..at + 4] == *magic).collect();
        headers.into_iter().for_each(|at| bytes[at + flags] |= 1);
    }
    assert_refused(open(bytes), &["x/my/train/cat/1.png: is protected by a password"]);
}

/// 65 MB of zeros, compressed to 65 kB, are rejected before they are completely unpacked.
#[test]
fn zip_bombs_are_refused() {
    let mut bomb = set();
    bomb[3].1 = vec![0; 65 << 20];
    let bytes = zip(&bomb, CompressionMethod::Deflated);
    assert!(bytes.len() < 1 << 20);
    assert_refused(open(bytes), &["x/my/train/cat/1.png: unpacks to more than 64 MB"]);
}
