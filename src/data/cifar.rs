//! CIFAR-10 and CIFAR-100, in the binary version of <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! A file is a row of records: 1 label byte (CIFAR-100: 2, the coarse and the fine one, of which the fine one is used)
//! and 3,072 bytes of pixels, the planes R, G, B, row by row. Files may hold fewer records than the official ones.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Error, IMAGE_LEN, ImageSet, Splits, refuse};

const PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";
/// No official file has more records.
const MAX_RECORDS: usize = 50_000;
/// Bytes that an archive may unpack to: no official one has half as many.
const MAX_UNPACKED: u64 = 512 << 20;
/// Bytes of a file of classes' names: far more than there are.
const MAX_NAMES: u64 = 1 << 16;

/// Which of the two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarVersion {
    Cifar10,
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
    fn classes(self) -> usize {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// Label bytes of a record. The last one counts.
    fn label_bytes(self) -> usize {
        match self {
            Self::Cifar10 => 1,
            Self::Cifar100 => 2,
        }
    }

    /// Bytes of a record.
    fn record(self) -> usize {
        self.label_bytes() + IMAGE_LEN
    }

    fn other(self) -> Self {
        match self {
            Self::Cifar10 => Self::Cifar100,
            Self::Cifar100 => Self::Cifar10,
        }
    }

    /// The file that holds it, as published.
    pub fn archive_name(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar-10-binary.tar.gz",
            Self::Cifar100 => "cifar-100-binary.tar.gz",
        }
    }

    /// The archive's MD5 sum, as published beside it.
    pub fn md5(self) -> &'static str {
        match self {
            Self::Cifar10 => "c32a1d4ab5d03f1284b67883e8d13530",
            Self::Cifar100 => "03b5dce01913d631647c71ecec9e9cb8",
        }
    }

    /// The directory in the archive.
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

    /// The file of the classes' names, one a line.
    fn names_file(self) -> &'static str {
        match self {
            Self::Cifar10 => "batches.meta.txt",
            Self::Cifar100 => "fine_label_names.txt",
        }
    }

    /// The classes' names where there is no such file.
    fn default_names(self) -> Vec<String> {
        const CIFAR10: [&str; 10] =
            ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
        match self {
            Self::Cifar10 => CIFAR10.map(String::from).to_vec(),
            Self::Cifar100 => (0..100).map(|label| format!("class {label}")).collect(),
        }
    }
}

/// Reads the set from `path`: the `.tar.gz` as it is downloaded, its directory, or a directory that holds that one.
///
/// # Errors
/// As [`read_archive`] and [`read_records`]; and if files are missing.
pub fn open(version: CifarVersion, path: &Path) -> Result<Splits, Error> {
    let open = |path: &Path| {
        File::open(path).map(BufReader::new).map_err(|reason| Error::Io { path: path.display().to_string(), reason })
    };
    if !path.is_dir() {
        return read_archive(version, &path.display().to_string(), open(path)?);
    }
    let nested = path.join(version.directory());
    let dir = if nested.is_dir() { nested } else { path.to_owned() };
    let mut files = Files::new(version);
    for name in files.wanted() {
        let file = dir.join(name);
        if file.exists() {
            files.add(name, &file.display().to_string(), open(&file)?)?;
        }
    }
    files.finish(&dir.display().to_string())
}

/// Reads the set from the bytes of its `.tar.gz`, in passing: nothing is unpacked to disk. `path` is for messages.
///
/// # Errors
/// If it is not a gzipped tar, is damaged or cut short, or lacks the files; and as [`read_records`].
pub fn read_archive(version: CifarVersion, path: &str, archive: impl Read) -> Result<Splits, Error> {
    Ok(read_members(&[version], path, archive)?.1)
}

/// As [`read_archive`], of the set that the members' names say it is.
///
/// # Errors
/// Those of [`read_archive`]; and if it holds neither set.
pub fn read_either(path: &str, archive: impl Read) -> Result<(CifarVersion, Splits), Error> {
    read_members(&[CifarVersion::Cifar10, CifarVersion::Cifar100], path, archive)
}

fn read_members(
    versions: &[CifarVersion],
    path: &str,
    mut archive: impl Read,
) -> Result<(CifarVersion, Splits), Error> {
    let get = || get_one_of(versions);
    let mut start = Vec::new();
    archive.by_ref().take(512).read_to_end(&mut start).map_err(|reason| Error::Io { path: path.to_owned(), reason })?;
    if !start.starts_with(&[0x1f, 0x8b]) {
        let what = match start.trim_ascii_start() {
            [] => "is empty",
            [b'<', ..] => "is a web page, not an archive",
            _ => "is not a gzip file (byte 0 is not 1f 8b)",
        };
        return Err(refuse(path, format!("{what}: {}", get())));
    }
    let broken = |e: io::Error| refuse(path, format!("is damaged or cut short ({e}): {}", get()));

    let mut tar = tar::Archive::new(GzDecoder::new(start.as_slice().chain(archive)).take(MAX_UNPACKED));
    let mut sets: Vec<Files> = versions.iter().map(|version| Files::new(*version)).collect();
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let member = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let name = member.rsplit('/').next().unwrap_or_default();
        let full = format!("{path}: {member}");
        let wanted = |set: &Files| set.wanted().into_iter().find(|wanted| *wanted == name);
        if let Some((set, name)) = sets.iter_mut().find_map(|set| wanted(set).map(|name| (set, name))) {
            set.add(name, &full, entry)?;
        } else if ["data_batch_1", "test_batch", "train", "test"].contains(&name) {
            return Err(refuse(&full, format!("is of the Python version: {}", get())));
        }
    }
    // The checksum comes last.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
    if rest.limit() == 0 {
        return Err(broken(io::Error::other("it unpacks to far more than it should")));
    }
    let set = match versions {
        [_] => sets.pop(),
        _ => sets.into_iter().find(|set| !set.records.is_empty()),
    };
    let set = set.ok_or_else(|| {
        refuse(path, format!("holds no images of CIFAR-10 or CIFAR-100 (your own go into a zip): {}", get()))
    })?;
    Ok((set.version, set.finish(path)?))
}

/// Reads one file of records. Leaves `classes` empty; `path` is for messages.
///
/// # Errors
/// If its length is not a whole number of records, it has none or more than 50,000, or a label is out of range.
pub fn read_records(version: CifarVersion, path: &str, file: impl Read) -> Result<ImageSet, Error> {
    let record = version.record();
    let mut bytes = Vec::new();
    // One byte more tells a file that is too long.
    let read = file.take((MAX_RECORDS * record + 1) as u64).read_to_end(&mut bytes);
    if let Err(e) = read {
        let (at, i) = (bytes.len(), bytes.len() / record);
        return Err(refuse(path, format!("breaks off at byte {at}, in record {i} ({e}): {}", get(version))));
    }
    let (whole, rest) = (bytes.len() / record, bytes.len() % record);
    if bytes.is_empty() {
        return Err(refuse(path, format!("is empty: {}", get(version))));
    }
    if bytes.len() > MAX_RECORDS * record {
        return Err(refuse(path, format!("is longer than {MAX_RECORDS} records of {record} bytes: {}", get(version))));
    }
    if rest != 0 {
        let other = version.other();
        let hint = if bytes.len().is_multiple_of(other.record()) {
            format!("it has the length of a {} file: choose that data set", other.name())
        } else {
            get(version)
        };
        return Err(refuse(
            path,
            format!(
                "record {whole}, at byte {}, has {rest} of the {record} bytes of a {} record: {hint}",
                whole * record,
                version.name()
            ),
        ));
    }
    let mut images = ImageSet { pixels: Vec::with_capacity(whole * IMAGE_LEN), ..ImageSet::default() };
    for (i, bytes) in bytes.chunks_exact(record).enumerate() {
        let (labels, pixels) = bytes.split_at(version.label_bytes());
        let label = labels[labels.len() - 1];
        if usize::from(label) >= version.classes() {
            let at = i * record + labels.len() - 1;
            return Err(refuse(
                path,
                format!(
                    "record {i} has label {label} at byte {at}, and {} goes to {}: {}",
                    version.name(),
                    version.classes() - 1,
                    get(version)
                ),
            ));
        }
        images.labels.push(u16::from(label));
        images.pixels.extend_from_slice(pixels);
    }
    Ok(images)
}

/// The files of a set as they come, in any order.
struct Files {
    version: CifarVersion,
    records: BTreeMap<&'static str, ImageSet>,
    classes: Vec<String>,
}

impl Files {
    fn new(version: CifarVersion) -> Self {
        Files { version, records: BTreeMap::new(), classes: version.default_names() }
    }

    /// The names of the files to add; training images keep this order.
    fn wanted(&self) -> Vec<&'static str> {
        [self.version.train_files(), &[self.version.test_file(), self.version.names_file()]].concat()
    }

    fn add(&mut self, name: &'static str, path: &str, file: impl Read) -> Result<(), Error> {
        if name != self.version.names_file() {
            self.records.insert(name, read_records(self.version, path, file)?);
            return Ok(());
        }
        let mut text = String::new();
        file.take(MAX_NAMES).read_to_string(&mut text).map_err(|reason| Error::Io { path: path.to_owned(), reason })?;
        self.classes = text.split_whitespace().map(String::from).collect();
        if self.classes.len() != self.version.classes() {
            let (found, wanted) = (self.classes.len(), self.version.classes());
            return Err(refuse(path, format!("names {found} classes instead of {wanted}: {}", get(self.version))));
        }
        Ok(())
    }

    fn finish(mut self, path: &str) -> Result<Splits, Error> {
        let version = self.version;
        let mut take = |name: &str| {
            let missing = || refuse(path, format!("has no {name}, a part of {}: {}", version.name(), get(version)));
            self.records.remove(name).ok_or_else(missing)
        };
        let mut test = take(version.test_file())?;
        let mut train = ImageSet::default();
        for name in version.train_files() {
            let mut part = take(name)?;
            train.pixels.append(&mut part.pixels);
            train.labels.append(&mut part.labels);
        }
        (train.classes, test.classes) = (self.classes.clone(), self.classes);
        Ok(Splits { train, test })
    }
}

/// What to do about a bad file.
fn get(version: CifarVersion) -> String {
    get_one_of(&[version])
}

fn get_one_of(versions: &[CifarVersion]) -> String {
    let archives: Vec<_> = versions.iter().map(|version| version.archive_name()).collect();
    format!("download {} (the binary version) again from {PAGE}", archives.join(" or "))
}
