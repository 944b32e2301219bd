//! A data set in one file, recognized by what is in it, whatever its name: CIFAR's `.tar.gz`, or a zip of class folders.

use std::io::{Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::{Dataset, Error, Splits, cifar, folder, refuse};

/// Of a zip's member, unpacked, in MB: no image that can be decoded needs more.
const MAX_MEMBER: u64 = 64;
/// Of all members that are read, in MB.
const MAX_TOTAL: u64 = 2048;
const MB: u64 = 1 << 20;

/// Reads CIFAR-10 or CIFAR-100 from its `.tar.gz` (the binary version), or class folders from a zip. Members are read one
/// after the other and nothing is unpacked to disk; `name` is for messages.
///
/// # Errors
/// If it is neither, is damaged, cut short or protected by a password, or unpacks to more than a data set would; and
/// those of [`cifar::read_either`] and [`folder::read`].
pub fn read(name: &str, mut file: impl Read + Seek) -> Result<(Dataset, Splits), Error> {
    let mut start = Vec::new();
    let read = file.by_ref().take(512).read_to_end(&mut start).and_then(|_| file.seek(SeekFrom::Start(0)));
    read.map_err(|reason| Error::Io { path: name.to_owned(), reason })?;
    match start.trim_ascii_start() {
        [0x1f, 0x8b, ..] => {
            let (version, splits) = cifar::read_either(name, file)?;
            Ok((version.into(), splits))
        }
        [b'P', b'K', 3 | 5, ..] => Ok((Dataset::Folder, read_zip(name, file)?)),
        other => {
            let what = match other {
                [] => "is empty",
                [b'<', ..] => "is a web page",
                _ => "is no data set known here",
            };
            let wanted = "give the .tar.gz of CIFAR-10 or CIFAR-100 (the binary version) or a zip with a folder of images for each class";
            Err(refuse(name, format!("{what}: {wanted}")))
        }
    }
}

impl From<cifar::CifarVersion> for Dataset {
    fn from(version: cifar::CifarVersion) -> Self {
        match version {
            cifar::CifarVersion::Cifar10 => Self::Cifar10,
            cifar::CifarVersion::Cifar100 => Self::Cifar100,
        }
    }
}

fn read_zip(name: &str, file: impl Read + Seek) -> Result<Splits, Error> {
    let damaged = |path: &str, e: &dyn std::error::Error| {
        refuse(path, format!("is damaged, cut short or packed in an unusual way ({e}): copy it or pack it again"))
    };
    let mut zip = ZipArchive::new(file).map_err(|e| damaged(name, &e))?;
    let paths: Result<Vec<String>, _> = zip.file_names().map(|path| Ok(path?.replace('\\', "/"))).collect();
    let paths = paths.map_err(|e: zip::result::ZipError| damaged(name, &e))?;
    let mut left = MAX_TOTAL * MB;
    folder::read(name, &paths, |i| {
        let path = format!("{name}/{}", paths[i]);
        if zip.by_index_data(i).is_ok_and(|member| member.encrypted()) {
            return Err(refuse(&path, "is protected by a password: pack it again without one"));
        }
        let member = zip.by_index(i).map_err(|e| damaged(&path, &e))?;
        let mut bytes = Vec::new();
        // One byte more tells a member that is too large, whatever size the zip says it has.
        member.take(MAX_MEMBER * MB + 1).read_to_end(&mut bytes).map_err(|e| damaged(&path, &e))?;
        let size = bytes.len() as u64;
        if size > MAX_MEMBER * MB {
            return Err(refuse(&path, format!("unpacks to more than {MAX_MEMBER} MB: save the image smaller")));
        }
        left = left.checked_sub(size).ok_or_else(|| {
            refuse(name, format!("unpacks to more than {MAX_TOTAL} MB: leave some out or save the images smaller"))
        })?;
        Ok(bytes)
    })
}
