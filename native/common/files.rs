//! Files that are either whole or absent.

use std::{io::Write, path::Path};

use anyhow::Context;

/// Replaces the file at `path` in one step: whatever happens meanwhile, it holds the old bytes or the new ones.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)] // As any new file: what the umask leaves, not for the owner alone.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().with_context(|| format!("could not write {}: what was there before is untouched", path.display()))
}
