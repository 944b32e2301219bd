//! Data sets in a single file: the CIFAR `.tar.gz`, or a zip with one folder per class. The content determines the
//! format.

use std::io::{Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::{Dataset, Error, Splits, cifar, folder, format_error, io_error};

/// Largest unpacked size of a zip member, in MB. Larger image files cannot be decoded anyway.
const MAX_MEMBER_MB: u64 = 64;
/// Largest unpacked size of all zip members together, in MB.
const MAX_TOTAL_MB: u64 = 2048;
const MB: u64 = 1 << 20;

/// Reads CIFAR-10 or CIFAR-100 from its `.tar.gz` (binary version), or class folders from a zip.
///
/// Members are read one at a time and nothing is unpacked to disk. `name` is used in error messages only.
///
/// # Errors
/// If the file has another format, is damaged, truncated or encrypted, or exceeds the size limits; also the errors of
/// [`cifar::read_either`] and [`folder::read`].
pub fn read(name: &str, mut file: impl Read + Seek) -> Result<(Dataset, Splits), Error> {
    let mut start = Vec::new();
    let read = file.by_ref().take(512).read_to_end(&mut start).and_then(|_| file.seek(SeekFrom::Start(0)));
    read.map_err(|reason| io_error(name, reason))?;
    let problem = match start.trim_ascii_start() {
        [0x1f, 0x8b, ..] => {
            let (version, splits) = cifar::read_either(name, file)?;
            return Ok((version.into(), splits));
        }
        [b'P', b'K', 3 | 5, ..] => return Ok((Dataset::Folder, read_zip(name, file)?)),
        [] => "is empty",
        [b'<', ..] => "is a web page",
        _ => "is not a supported data set",
    };
    let supported = "use the .tar.gz of CIFAR-10 or CIFAR-100 (binary version) or a zip that contains a folder of images for each class";
    Err(format_error(name, format!("{problem}: {supported}")))
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
        format_error(
            path,
            format!("is damaged, truncated or compressed in an unsupported way ({e}): copy it or pack it again"),
        )
    };
    let mut zip = ZipArchive::new(file).map_err(|e| damaged(name, &e))?;
    let paths: Result<Vec<String>, _> = zip.file_names().map(|path| Ok(path?.replace('\\', "/"))).collect();
    let paths = paths.map_err(|e: zip::result::ZipError| damaged(name, &e))?;
    let mut remaining_bytes = MAX_TOTAL_MB * MB;
    folder::read(name, &paths, |i| {
        let path = format!("{name}/{}", paths[i]);
        if zip.by_index_data(i).is_ok_and(|member| member.encrypted()) {
            return Err(format_error(&path, "is protected by a password: pack it again without one"));
        }
        let member = zip.by_index(i).map_err(|e| damaged(&path, &e))?;
        let mut bytes = Vec::new();
        // Reading one byte more than allowed detects members that are too large, even if the zip header is wrong.
        member.take(MAX_MEMBER_MB * MB + 1).read_to_end(&mut bytes).map_err(|e| damaged(&path, &e))?;
        let size = bytes.len() as u64;
        if size > MAX_MEMBER_MB * MB {
            let problem = format!("unpacks to more than {MAX_MEMBER_MB} MB: save the image at a smaller size");
            return Err(format_error(&path, problem));
        }
        remaining_bytes = remaining_bytes.checked_sub(size).ok_or_else(|| {
            let problem =
                format!("unpacks to more than {MAX_TOTAL_MB} MB: remove some images or save them at a smaller size");
            format_error(name, problem)
        })?;
        Ok(bytes)
    })
}
