use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use otjr::data::cifar::{CifarVersion, open, read_archive, read_records};
use otjr::data::{IMAGE_LEN, Splits};

use super::assert_refused;
use CifarVersion::{Cifar10, Cifar100};

/// A record: the label bytes, then planes whose pixels have the value of the last label byte plus 0, 1 and 2.
fn record(labels: &[u8]) -> Vec<u8> {
    let label = labels[labels.len() - 1];
    let planes = [label, label + 1, label + 2].map(|value| [value; IMAGE_LEN / 3]);
    [labels, planes.as_flattened()].concat()
}

pub fn cifar10(labels: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|&label| record(&[label])).collect()
}

pub fn cifar100(labels: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|&label| record(&[label / 5, label])).collect()
}

const NAMES: &str = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\nLORRY\n\n";

/// The files of a small CIFAR-10, not in the order in which they must be read.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("data_batch_2.bin", cifar10(&[2, 2])),
        ("data_batch_1.bin", cifar10(&[1])),
        ("test_batch.bin", cifar10(&[9, 8])),
        ("data_batch_5.bin", cifar10(&[5])),
        ("readme.html", b"<html>".to_vec()),
        ("data_batch_4.bin", cifar10(&[4])),
        ("data_batch_3.bin", cifar10(&[3])),
        ("batches.meta.txt", NAMES.into()),
    ]
}

pub fn archive(directory: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("{directory}/{name}"), bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn write(dir: &Path, files: &[(&str, Vec<u8>)]) {
    fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[track_caller]
pub fn assert_is_the_small_cifar10(Splits { train, test }: Splits) {
    assert_eq!(train.labels, [1, 2, 2, 3, 4, 5]);
    assert_eq!(test.labels, [9, 8]);
    assert_eq!(test.image(1), &cifar10(&[8])[1..]);
    assert_eq!((train.classes[9].as_str(), test.classes[9].as_str()), ("LORRY", "LORRY"));
}

#[test]
fn archive_and_directories_give_the_same_data() {
    let bytes = archive("cifar-10-batches-bin", &files());
    assert_is_the_small_cifar10(read_archive(Cifar10, "a.tar.gz", bytes.as_slice()).unwrap());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cifar-10-binary.tar.gz");
    fs::write(&file, bytes).unwrap();
    assert_is_the_small_cifar10(open(Cifar10, &file).unwrap());

    let nested = dir.path().join("cifar-10-batches-bin");
    write(&nested, &files());
    assert_is_the_small_cifar10(open(Cifar10, &nested).unwrap());
    assert_is_the_small_cifar10(open(Cifar10, dir.path()).unwrap());

    fs::remove_file(nested.join("batches.meta.txt")).unwrap();
    assert_eq!(open(Cifar10, &nested).unwrap().test.classes[9], "truck");
}

#[test]
fn cifar100_has_fine_labels() {
    let names: String = (0..100).map(|i| format!("name_{i}\n")).collect();
    let files =
        [("train.bin", cifar100(&[99, 0, 41])), ("test.bin", cifar100(&[7])), ("fine_label_names.txt", names.into())];
    let Splits { train, test } = read_archive(Cifar100, "a", archive("cifar-100-binary", &files).as_slice()).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([99, 0, 41].as_slice(), [7].as_slice()));
    assert_eq!(train.image(2), &cifar100(&[41])[2..]);
    assert_eq!(train.classes[41], "name_41");
    let files = &files[..2];
    let unnamed = read_archive(Cifar100, "a", archive("cifar-100-binary", files).as_slice()).unwrap();
    assert_eq!(unnamed.test.classes.len(), 100);
}

#[test]
fn errors_of_records_report_the_position() {
    let cut = &cifar10(&[1, 2, 3])[..2 * 3073 + 100];
    assert_refused(
        read_records(Cifar10, "f.bin", cut),
        &["f.bin", "record 2", "byte 6146", "100 of the 3073", "again"],
    );

    let mislabelled = cifar10(&[1, 10]);
    assert_refused(
        read_records(Cifar10, "f.bin", mislabelled.as_slice()),
        &["record 1", "label 10", "byte 3073", "end at 9"],
    );
    let mislabelled = cifar100(&[1, 100]);
    assert_refused(read_records(Cifar100, "f.bin", mislabelled.as_slice()), &["record 1", "label 100", "byte 3075"]);

    let other = cifar100(&[3, 4, 5]);
    assert_refused(read_records(Cifar10, "f.bin", other.as_slice()), &["length of a CIFAR-100 file", "choose that"]);
    let other = cifar10(&[3, 4, 5]);
    assert_refused(read_records(Cifar100, "f.bin", other.as_slice()), &["length of a CIFAR-10 file"]);

    assert_refused(read_records(Cifar10, "f.bin", [].as_slice()), &["is empty"]);
    assert_refused(read_records(Cifar10, "f.bin", std::io::repeat(0)), &["longer than 50000 records"]);
}

#[test]
fn other_files_are_rejected() {
    let refused = |bytes: &[u8], parts: &[&str]| {
        assert_refused(read_archive(Cifar10, "x.tar.gz", bytes), &[&["x.tar.gz"], parts].concat());
    };
    refused(b"", &["is empty"]);
    refused(b"  <!DOCTYPE html><html>404", &["is a web page", "cifar-10-binary.tar.gz", "https://"]);
    refused(b"PK\x03\x04", &["not a gzip file"]);

    // Gzip data that is not a tar archive.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&[b'x'; 2000]).unwrap();
    refused(&gzip.finish().unwrap(), &["is damaged"]);

    refused(&archive("cifar-10-batches-py", &[("data_batch_1", vec![1])]), &["data_batch_1", "Python version"]);
    refused(&archive("photos", &[("cat.jpg", vec![1])]), &["has no test_batch.bin"]);
    let missing: Vec<_> = files().into_iter().filter(|(name, _)| *name != "data_batch_4.bin").collect();
    refused(&archive("d", &missing), &["has no data_batch_4.bin"]);
    let names = [("batches.meta.txt", b"cat dog".to_vec())];
    refused(&archive("d", &names), &["batches.meta.txt", "names 2 classes instead of 10"]);
}

#[test]
fn a_damaged_archive_is_refused() {
    let bytes = archive("cifar-10-batches-bin", &files());
    // Truncated in the second record of the first file.
    assert_refused(
        read_archive(Cifar10, "x", &bytes[..4000]),
        &["x: cifar-10-batches-bin/data_batch_2.bin", "in record 1"],
    );
    for keep in (5_000..bytes.len()).step_by(2_999) {
        assert_refused(read_archive(Cifar10, "x", &bytes[..keep]), &["x"]);
    }
    let mut flipped = bytes.clone();
    flipped[2000] ^= 1;
    assert_refused(read_archive(Cifar10, "x", flipped.as_slice()), &["x", "damaged"]);
}

#[test]
fn missing_files_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    assert_refused(open(Cifar100, dir.path()), &["has no test.bin", "CIFAR-100"]);
    assert_refused(open(Cifar10, &dir.path().join("nowhere")), &["nowhere"]);
}
