//! CIFAR-10 and CIFAR-100, in the binary version of <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A file is a sequence of records.
//! A record has 1 label byte (CIFAR-100: a coarse and a fine label byte; the fine one is used) and 3,072 pixel bytes:
//! the planes R, G and B, row by row. Files may have fewer records than the official ones.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Error, IMAGE_LEN, ImageSet, Splits, format_error, io_error};

/// The download page, for error messages.
const PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";
/// Largest number of records in a file; the official files have at most 50,000.
const MAX_RECORDS: usize = 50_000;
/// Largest unpacked size of an archive in bytes, more than twice the official size.
const MAX_UNPACKED: u64 = 512 << 20;
/// Largest size of a file with class names, in bytes.
const MAX_NAMES_LEN: u64 = 1 << 16;

/// CIFAR-10 or CIFAR-100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarVersion {
    /// 10 classes, 50,000 training and 10,000 test images.
    Cifar10,
    /// 100 classes, 50,000 training and 10,000 test images.
    Cifar100,
}

impl CifarVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
        }
    }

    /// Number of classes.
    fn class_count(self) -> usize {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// Number of label bytes in a record. The last one is the class label.
    fn label_bytes(self) -> usize {
        match self {
            Self::Cifar10 => 1,
            Self::Cifar100 => 2,
        }
    }

    /// Size of a record in bytes.
    fn record_len(self) -> usize {
        self.label_bytes() + IMAGE_LEN
    }

    fn other(self) -> Self {
        match self {
            Self::Cifar10 => Self::Cifar100,
            Self::Cifar100 => Self::Cifar10,
        }
    }

    /// File name of the official archive.
    pub fn archive_name(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar-10-binary.tar.gz",
            Self::Cifar100 => "cifar-100-binary.tar.gz",
        }
    }

    /// MD5 checksum of the official archive, as published on the download page.
    pub fn md5(self) -> &'static str {
        match self {
            Self::Cifar10 => "c32a1d4ab5d03f1284b67883e8d13530",
            Self::Cifar100 => "03b5dce01913d631647c71ecec9e9cb8",
        }
    }

    /// Name of the directory in the archive.
    fn directory(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar-10-batches-bin",
            Self::Cifar100 => "cifar-100-binary",
        }
    }

    fn train_files(self) -> &'static [&'static str] {
        match self {
            Self::Cifar10 => {
                &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]
            }
            Self::Cifar100 => &["train.bin"],
        }
    }

    fn test_file(self) -> &'static str {
        match self {
            Self::Cifar10 => "test_batch.bin",
            Self::Cifar100 => "test.bin",
        }
    }

    /// Name of the file with the class names, one per line.
    fn names_file(self) -> &'static str {
        match self {
            Self::Cifar10 => "batches.meta.txt",
            Self::Cifar100 => "fine_label_names.txt",
        }
    }

    /// Class names to use if that file is missing.
    fn default_class_names(self) -> Vec<String> {
        const CIFAR10: [&str; 10] =
            ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
        match self {
            Self::Cifar10 => CIFAR10.map(String::from).to_vec(),
            Self::Cifar100 => (0..100).map(|label| format!("class {label}")).collect(),
        }
    }
}

/// Reads the data set from `path`: the downloaded `.tar.gz`, its unpacked directory, or the parent of that directory.
///
/// # Errors
/// If files are missing; also the errors of [`read_archive`] and [`read_records`].
pub fn open(version: CifarVersion, path: &Path) -> Result<Splits, Error> {
    if !path.is_dir() {
        return read_archive(version, &path.display().to_string(), open_file(path)?);
    }
    let nested = path.join(version.directory());
    let dir = if nested.is_dir() { nested } else { path.to_owned() };
    let mut files = CifarFiles::new(version);
    for name in files.expected() {
        let file = dir.join(name);
        if file.exists() {
            files.add(name, &file.display().to_string(), open_file(&file)?)?;
        }
    }
    files.into_splits(&dir.display().to_string())
}

fn open_file(path: &Path) -> Result<BufReader<File>, Error> {
    File::open(path).map(BufReader::new).map_err(|reason| io_error(&path.display().to_string(), reason))
}

/// Reads the data set from its `.tar.gz` as a stream, without unpacking to disk. `path` is used in error messages only.
///
/// # Errors
/// If the archive is not a gzipped tar file, is damaged or truncated, or lacks a file; also the errors of
/// [`read_records`].
pub fn read_archive(version: CifarVersion, path: &str, archive: impl Read) -> Result<Splits, Error> {
    Ok(read_members(&[version], path, archive)?.1)
}

/// Reads CIFAR-10 or CIFAR-100 from its `.tar.gz`. The names of the members determine which one it is.
///
/// # Errors
/// If the archive contains neither data set; also the errors of [`read_archive`].
pub fn read_either(path: &str, archive: impl Read) -> Result<(CifarVersion, Splits), Error> {
    read_members(&[CifarVersion::Cifar10, CifarVersion::Cifar100], path, archive)
}

fn read_members(
    versions: &[CifarVersion],
    path: &str,
    mut archive: impl Read,
) -> Result<(CifarVersion, Splits), Error> {
    let hint = || download_hint(versions);
    let mut start = Vec::new();
    archive.by_ref().take(512).read_to_end(&mut start).map_err(|reason| io_error(path, reason))?;
    if !start.starts_with(&[0x1f, 0x8b]) {
        let problem = match start.trim_ascii_start() {
            [] => "is empty",
            [b'<', ..] => "is a web page, not an archive",
            _ => "is not a gzip file (it does not start with the bytes 1f 8b)",
        };
        return Err(format_error(path, format!("{problem}: {}", hint())));
    }
    let damaged = |e: io::Error| format_error(path, format!("is damaged or truncated ({e}): {}", hint()));

    let mut tar = tar::Archive::new(GzDecoder::new(start.as_slice().chain(archive)).take(MAX_UNPACKED));
    let mut candidates: Vec<CifarFiles> = versions.iter().map(|version| CifarFiles::new(*version)).collect();
    for entry in tar.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let member = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
        let name = member.rsplit('/').next().unwrap_or_default();
        let member_path = format!("{path}: {member}");
        let expected_name = |files: &CifarFiles| files.expected().into_iter().find(|expected| *expected == name);
        let matching = candidates.iter_mut().find_map(|files| expected_name(files).map(|name| (files, name)));
        if let Some((files, name)) = matching {
            files.add(name, &member_path, entry)?;
        } else if ["data_batch_1", "test_batch", "train", "test"].contains(&name) {
            return Err(format_error(&member_path, format!("belongs to the Python version: {}", hint())));
        }
    }
    // Read to the end: the gzip checksum follows the last member.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    if rest.limit() == 0 {
        return Err(damaged(io::Error::other("it unpacks to more than twice the official size")));
    }
    let files = match versions {
        [_] => candidates.pop(),
        _ => candidates.into_iter().find(|files| !files.records.is_empty()),
    };
    let files = files.ok_or_else(|| {
        let problem = "contains no images of CIFAR-10 or CIFAR-100 (put your own images into a zip)";
        format_error(path, format!("{problem}: {}", hint()))
    })?;
    Ok((files.version, files.into_splits(path)?))
}

/// Reads one file of records. The `classes` of the result are empty; `path` is used in error messages only.
///
/// # Errors
/// If the file cannot be read, has no records, more than 50,000 records or an incomplete record, or if a label is out
/// of range.
pub fn read_records(version: CifarVersion, path: &str, file: impl Read) -> Result<ImageSet, Error> {
    let record_len = version.record_len();
    let bytes = read_record_bytes(version, path, file)?;
    let record_count = bytes.len() / record_len;
    let mut images = ImageSet { pixels: Vec::with_capacity(record_count * IMAGE_LEN), ..ImageSet::default() };
    for (i, record) in bytes.chunks_exact(record_len).enumerate() {
        let (labels, pixels) = record.split_at(version.label_bytes());
        let label = labels[labels.len() - 1];
        if usize::from(label) >= version.class_count() {
            let position = i * record_len + labels.len() - 1;
            let problem = format!(
                "record {i} has label {label} at byte {position}, but the labels of {} end at {}: {}",
                version.name(),
                version.class_count() - 1,
                download_hint(&[version])
            );
            return Err(format_error(path, problem));
        }
        images.labels.push(u16::from(label));
        images.pixels.extend_from_slice(pixels);
    }
    Ok(images)
}

/// Reads all bytes of a file of records, and checks their number.
fn read_record_bytes(version: CifarVersion, path: &str, file: impl Read) -> Result<Vec<u8>, Error> {
    let record_len = version.record_len();
    let hint = download_hint(&[version]);
    let mut bytes = Vec::new();
    // Reading one byte more than allowed detects files that are too long.
    let read = file.take((MAX_RECORDS * record_len + 1) as u64).read_to_end(&mut bytes);
    let (complete, rest) = (bytes.len() / record_len, bytes.len() % record_len);
    let problem = if let Err(e) = read {
        format!("could not be read beyond byte {}, in record {complete} ({e}): {hint}", bytes.len())
    } else if bytes.is_empty() {
        format!("is empty: {hint}")
    } else if bytes.len() > MAX_RECORDS * record_len {
        format!("is longer than {MAX_RECORDS} records of {record_len} bytes: {hint}")
    } else if rest != 0 {
        let other = version.other();
        let hint = if bytes.len().is_multiple_of(other.record_len()) {
            format!("the file has the length of a {} file, choose that data set", other.name())
        } else {
            hint
        };
        let position = complete * record_len;
        let name = version.name();
        format!(
            "record {complete}, at byte {position}, has {rest} of the {record_len} bytes of a {name} record: {hint}"
        )
    } else {
        return Ok(bytes);
    };
    Err(format_error(path, problem))
}

/// The files of a data set that have been read so far. They can be added in any order.
struct CifarFiles {
    version: CifarVersion,
    records: BTreeMap<&'static str, ImageSet>,
    classes: Vec<String>,
}

impl CifarFiles {
    fn new(version: CifarVersion) -> Self {
        Self { version, records: BTreeMap::new(), classes: version.default_class_names() }
    }

    /// Returns the names of all files of the data set.
    fn expected(&self) -> Vec<&'static str> {
        [self.version.train_files(), &[self.version.test_file(), self.version.names_file()]].concat()
    }

    fn add(&mut self, name: &'static str, path: &str, file: impl Read) -> Result<(), Error> {
        if name != self.version.names_file() {
            self.records.insert(name, read_records(self.version, path, file)?);
            return Ok(());
        }
        let mut text = String::new();
        file.take(MAX_NAMES_LEN).read_to_string(&mut text).map_err(|reason| io_error(path, reason))?;
        self.classes = text.split_whitespace().map(String::from).collect();
        let (found, expected) = (self.classes.len(), self.version.class_count());
        if found != expected {
            let hint = download_hint(&[self.version]);
            return Err(format_error(path, format!("names {found} classes instead of {expected}: {hint}")));
        }
        Ok(())
    }

    fn into_splits(mut self, path: &str) -> Result<Splits, Error> {
        let mut test = self.remove(self.version.test_file(), path)?;
        let mut train = ImageSet::default();
        // In the order of the official file names, whatever the order in the archive.
        for name in self.version.train_files() {
            let mut part = self.remove(name, path)?;
            train.pixels.append(&mut part.pixels);
            train.labels.append(&mut part.labels);
        }
        (train.classes, test.classes) = (self.classes.clone(), self.classes);
        Ok(Splits { train, test })
    }

    fn remove(&mut self, name: &str, path: &str) -> Result<ImageSet, Error> {
        let version = self.version;
        self.records.remove(name).ok_or_else(|| {
            let hint = download_hint(&[version]);
            format_error(path, format!("has no {name}, which is part of {}: {hint}", version.name()))
        })
    }
}

/// Tells where to get a correct archive of one of the versions.
fn download_hint(versions: &[CifarVersion]) -> String {
    let archives: Vec<_> = versions.iter().map(|version| version.archive_name()).collect();
    format!("download {} (the binary version) again from {PAGE}", archives.join(" or "))
}
