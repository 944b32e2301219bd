//! The container format of `torch.save`: a zip archive, or a sequence of pickles and storages before PyTorch 1.6.

use std::{collections::HashMap, io::Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::{
    Error,
    element::Element,
    pickle::Pickle,
    value::{Storage, Value},
};

/// The start of a legacy file: the pickle of the integer 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Returns whether the bytes start like a file of `torch.save`.
pub fn is_pytorch_file(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP_MAGIC) || bytes.starts_with(LEGACY_MAGIC)
}

/// The parts of a file. All of them borrow from its bytes.
pub(super) struct Container<'a> {
    pub pickle: Pickle<'a>,
    /// The bytes of the storages by key.
    pub storages: HashMap<String, &'a [u8]>,
    /// The metadata that [`super::write()`] adds.
    pub metadata: Option<&'a [u8]>,
    /// Whether the file has the format of PyTorch before version 1.6.
    pub is_legacy: bool,
}

fn damaged<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Damaged(problem.into()))
}

impl<'a> Container<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.starts_with(LEGACY_MAGIC) { Self::open_legacy(bytes) } else { Self::open_zip(bytes) }
    }

    fn open_zip(bytes: &'a [u8]) -> Result<Self, Error> {
        let entries = zip_entries(bytes)?;
        let mut roots = entries.keys().filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let (Some(root), None) = (roots.next(), roots.next()) else {
            return damaged("it is a zip archive, but not one written by torch.save: it does not have one data.pkl");
        };
        if entries.get(&format!("{root}byteorder")).is_some_and(|&order| order != b"little") {
            return Err(Error::BigEndian);
        }
        let folder = format!("{root}data/");
        let storages = entries
            .iter()
            .filter_map(|(name, &content)| Some((name.strip_prefix(&folder)?.to_owned(), content)))
            .collect();
        let metadata = entries.get(&format!("{root}{}", super::METADATA_ENTRY)).copied();
        let pickle = Pickle::read(entries[&format!("{root}data.pkl")])?;
        Ok(Self { pickle, storages, metadata, is_legacy: false })
    }

    /// A legacy file consists of a magic number, the version, a description of the host, the pickle, the keys of its
    /// storages, and then the length and content of each storage.
    fn open_legacy(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = &bytes[LEGACY_MAGIC.len()..];
        let mut next_pickle = || {
            let pickle = Pickle::read(rest)?;
            rest = &rest[pickle.length..];
            Ok::<_, Error>(pickle)
        };
        let (version, host, pickle, keys) = (next_pickle()?, next_pickle()?, next_pickle()?, next_pickle()?);
        if version.value(version.root) != &Value::Int(1001) {
            return damaged("it has an unknown version of PyTorch's legacy format");
        }
        if is_big_endian(&host) {
            return Err(Error::BigEndian);
        }
        let elements: HashMap<&str, Element> = pickle.values.iter().filter_map(key_and_element).collect();
        let Value::Sequence(key_ids) = keys.value(keys.root) else {
            return damaged("the list of storages is not a list");
        };
        let mut storages = HashMap::new();
        for &id in key_ids {
            let Value::Text(key) = keys.value(id) else { return damaged("the key of a storage is not text") };
            let Some(element) = elements.get(key) else { return damaged("it lists a storage that no tensor uses") };
            let split = rest.split_first_chunk().and_then(|(length, after)| {
                let size = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_mul(element.size())?;
                after.split_at_checked(size)
            });
            let Some((content, after)) = split else { return damaged(format!("storage {key:?} in it is truncated")) };
            storages.insert((*key).to_owned(), content);
            rest = after;
        }
        Ok(Self { pickle, storages, metadata: None, is_legacy: true })
    }
}

/// Returns the contents of all entries of an uncompressed zip archive by name. Their checksums are verified.
fn zip_entries(bytes: &[u8]) -> Result<HashMap<String, &[u8]>, Error> {
    let broken = |e: zip::result::ZipError| Error::Damaged(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut entries = HashMap::new();
    // A hostile archive can have many overlapping entries. Limiting their total size limits the time.
    let mut remaining_bytes = bytes.len();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return damaged(format!("{name:?} in it is compressed, which torch.save never does"));
        }
        let range = entry.data_start().zip(entry.size().try_into().ok());
        let content =
            range.and_then(|(start, size): (u64, usize)| bytes.get(usize::try_from(start).ok()?..)?.get(..size));
        let Some(content) = content else { return damaged(format!("{name:?} in it is truncated")) };
        let Some(remaining) = remaining_bytes.checked_sub(content.len()) else {
            return damaged("its entries overlap");
        };
        remaining_bytes = remaining;
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        if checksum.sum() != entry.crc32() {
            return damaged(format!("the checksum of {name:?} in it is wrong"));
        }
        if entries.insert(name.clone(), content).is_some() {
            return damaged(format!("it contains {name:?} twice"));
        }
    }
    Ok(entries)
}

/// Returns whether the host that wrote a legacy file was big-endian.
fn is_big_endian(host: &Pickle) -> bool {
    let Value::Dict(entries) = host.value(host.root) else { return false };
    entries.iter().any(|&(key, value)| {
        host.value(key) == &Value::Text("little_endian") && host.value(value) == &Value::Bool(false)
    })
}

fn key_and_element<'a>(value: &Value<'a>) -> Option<(&'a str, Element)> {
    match value {
        Value::Storage(Storage { key, element, .. }) => Some((key, *element)),
        _ => None,
    }
}
