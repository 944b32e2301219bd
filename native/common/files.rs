//! Reads files, and writes them atomically.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Returns the bytes of a file.
///
/// # Errors
/// If it cannot be read. The error contains the path.
pub fn read(path: impl AsRef<Path>) -> anyhow::Result<Vec<u8>> {
    let path = path.as_ref();
    fs::read(path).with_context(|| could_not_read(path))
}

/// Returns the bytes of a file, or `None` if it does not exist.
///
/// # Errors
/// If it exists and cannot be read. The error contains the path.
pub fn read_if_exists(path: impl AsRef<Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| could_not_read(path)),
    }
}

/// Returns the text of a file.
///
/// # Errors
/// If it cannot be read or is not UTF-8. The error contains the path.
pub fn read_text(path: impl AsRef<Path>) -> anyhow::Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).with_context(|| could_not_read(path))
}

fn could_not_read(path: &Path) -> String {
    format!("could not read {}", path.display())
}

/// Creates a directory and its parents.
///
/// # Errors
/// If it cannot be created. The error contains the path.
pub fn create_dir(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("could not create the directory {}", path.display()))
}

/// Replaces a file in one step. After a crash it contains either the old or the new bytes.
///
/// # Errors
/// If it cannot be written. The old file is unchanged then.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // The usual permissions of a new file (umask) instead of the owner's only.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().with_context(|| format!("could not write {}; an existing file is unchanged", path.display()))
}

/// Writes several files and returns their paths, separated by commas.
///
/// # Errors
/// If one cannot be written.
pub fn write_all(files: &[(PathBuf, Vec<u8>)]) -> anyhow::Result<String> {
    for (path, bytes) in files {
        write(path, bytes)?;
    }
    let paths: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    Ok(paths.join(", "))
}
