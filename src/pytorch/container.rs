//! Where `torch.save` puts pickle and storages: a zip archive, or before PyTorch 1.6 one after the other.

use std::{collections::HashMap, io::Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::{
    Error,
    pickle::Pickle,
    value::{Storage, Value},
};

/// The pickle of the number 0x1950a86a20f9469cfc6c, by which a legacy file begins.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Whether the bytes begin as a file of `torch.save` does.
pub fn is_pytorch_file(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP_MAGIC) || bytes.starts_with(LEGACY_MAGIC)
}

/// A file's pickle, and the bytes of its storages by key. All are parts of the file itself.
pub struct Container<'a> {
    pub pickle: Pickle<'a>,
    pub storages: HashMap<String, &'a [u8]>,
    /// What we have put beside the state dict (see [`super::write()`]).
    pub note: Option<&'a [u8]>,
    pub legacy: bool,
}

fn damaged<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Damaged(problem.into()))
}

impl<'a> Container<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.starts_with(LEGACY_MAGIC) { Self::legacy(bytes) } else { Self::zip(bytes) }
    }

    fn zip(bytes: &'a [u8]) -> Result<Self, Error> {
        let broken = |e: zip::result::ZipError| Error::Damaged(e.to_string());
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        let mut entries = HashMap::new();
        // Entries may lie upon each other, and each is gone through.
        let mut left = bytes.len();
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(broken)?;
            let name = entry.name().map_err(broken)?.into_owned();
            if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
                return damaged(format!("{name:?} in it is compressed, which torch.save never does"));
            }
            let range = entry.data_start().zip(entry.size().try_into().ok());
            let content =
                range.and_then(|(begin, n): (u64, usize)| bytes.get(usize::try_from(begin).ok()?..)?.get(..n));
            let Some(content) = content else { return damaged(format!("{:?} in it is cut off", entry.name())) };
            let Some(rest) = left.checked_sub(content.len()) else { return damaged("entries in it overlap") };
            left = rest;
            let mut checksum = flate2::Crc::new();
            checksum.update(content);
            if checksum.sum() != entry.crc32() {
                return damaged(format!("the checksum of {name:?} in it is wrong"));
            }
            if entries.insert(name.clone(), content).is_some() {
                return damaged(format!("{name:?} is in it twice"));
            }
        }
        let mut roots = entries.keys().filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let (Some(root), None) = (roots.next(), roots.next()) else {
            return damaged("it is a zip archive, but not one that torch.save has written: it has no data.pkl");
        };
        if entries.get(&format!("{root}byteorder")).is_some_and(|&order| order != b"little") {
            return Err(Error::BigEndian);
        }
        let folder = format!("{root}data/");
        let storages =
            entries.iter().filter_map(|(name, &bytes)| Some((name.strip_prefix(&folder)?.to_owned(), bytes)));
        let storages = storages.collect();
        let note = entries.get(&format!("{root}{}", super::METADATA_ENTRY)).copied();
        Ok(Self { pickle: Pickle::read(entries[&format!("{root}data.pkl")])?, storages, note, legacy: false })
    }

    /// Magic number, version, the machine, the pickle, the keys of its storages, then each one's length and bytes.
    fn legacy(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = &bytes[LEGACY_MAGIC.len()..];
        let mut next = || {
            let pickle = Pickle::read(rest)?;
            rest = &rest[pickle.length..];
            Ok::<_, Error>(pickle)
        };
        let (version, host, pickle, keys) = (next()?, next()?, next()?, next()?);
        if version.value(version.root) != &Value::Int(1001) {
            return damaged("it is of an unknown version of PyTorch's old format");
        }
        let little = |&(key, value): &_| {
            host.value(key) == &Value::Text("little_endian") && host.value(value) == &Value::Bool(false)
        };
        if matches!(host.value(host.root), Value::Dict(entries) if entries.iter().any(little)) {
            return Err(Error::BigEndian);
        }
        let named = pickle.values.iter().filter_map(|value| match value {
            Value::Storage(Storage { key, element, .. }) => Some((*key, *element)),
            _ => None,
        });
        let elements: HashMap<_, _> = named.collect();
        let Value::Sequence(ids) = keys.value(keys.root) else { return damaged("the list of its storages is no list") };
        let mut storages = HashMap::new();
        for &id in ids {
            let element = match keys.value(id) {
                Value::Text(key) => elements.get(key).map(|element| (*key, element.size())),
                _ => None,
            };
            let Some((key, size)) = element else { return damaged("it lists a storage that is no tensor's") };
            let content = rest.split_first_chunk().and_then(|(length, after)| {
                let n = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_mul(size)?;
                after.split_at_checked(n)
            });
            let Some((content, after)) = content else { return damaged(format!("storage {key:?} in it is cut off")) };
            storages.insert(key.to_owned(), content);
            rest = after;
        }
        Ok(Self { pickle, storages, note: None, legacy: true })
    }
}
