//! Fetches a published file once, into a folder where it stays: what has come lies in a `.part` beside its place until
//! it is whole and its checksum is right, so that whatever ends a download, the next one goes on from there.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use md5::{Digest, Md5};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

/// A file and the sum that its publisher gives.
#[derive(Clone, Copy)]
pub struct Published {
    pub name: &'static str,
    /// In hexadecimal digits.
    pub md5: &'static str,
}

/// Without a byte for so long a connection is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file in `folder`, from `url`: its own address, or that of the folder it lies in. None if `stop` said so meanwhile.
///
/// # Errors
/// If it cannot be had, is not what its checksum says, or cannot be written.
pub fn fetch(
    file: Published,
    url: &str,
    folder: &Path,
    bar: &ProgressBar,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Option<PathBuf>> {
    let whole = folder.join(file.name);
    let partial = folder.join(format!("{}.part", file.name));
    fs::create_dir_all(folder).with_context(|| format!("could not create the directory {}", folder.display()))?;
    let part = OpenOptions::new().create(true).append(true).open(&partial);
    let mut part = part.with_context(|| format!("could not open {}", partial.display()))?;
    // One at a time: others who want it wait here, and then find it. Not every network's file system has locks, though.
    let _ = part.lock();
    if whole.exists() {
        return Ok(Some(whole));
    }
    let (url, agent) = (address(url, file.name), agent());
    let mut furthest = part.metadata()?.len();
    loop {
        match receive(&agent, &url, &mut part, bar, stop) {
            Ok(true) => break,
            Ok(false) => return Ok(None),
            // A connection that was cut off, or a machine that slept: as long as something comes, ask for the rest.
            Err(_) if part.metadata()?.len() > furthest => furthest = part.metadata()?.len(),
            Err(error) => return Err(error.context(url)),
        }
    }
    let found = md5(&fs::read(&partial)?);
    if found != file.md5 {
        fs::remove_file(&partial)?;
        bail!("what {url} gives is not the file (its MD5 sum is {found}, not {}) and was removed", file.md5);
    }
    part.sync_all().and_then(|()| fs::rename(&partial, &whole)).map_err(unwritten)?;
    Ok(Some(whole))
}

/// The address of the file called `name`, if `url` is its own or its folder's.
fn address(url: &str, name: &str) -> String {
    let own = url.contains('?') || [".gz", ".tgz"].iter().any(|end| url.ends_with(end));
    if own { url.to_owned() } else { format!("{}/{name}", url.trim_end_matches('/')) }
}

/// Goes through the proxy that the environment names, and trusts whom the system trusts: a proxy may sign for itself.
fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).http_status_as_error(false);
    let config = config.timeout_connect(Some(PATIENCE)).timeout_recv_response(Some(PATIENCE));
    config.timeout_per_read(Some(PATIENCE)).build().into()
}

/// Appends what is missing of the file; false if `stop` ended it.
fn receive(
    agent: &Agent,
    url: &str,
    part: &mut File,
    bar: &ProgressBar,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<bool> {
    let have = part.metadata()?.len();
    let request = agent.get(url);
    let request = if have > 0 { request.header("Range", format!("bytes={have}-")) } else { request };
    let mut response = request.call()?;
    let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    let have = match response.status().as_u16() {
        206 if range.is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) => have,
        // There is no more of it than what is here: the checksum will tell whether that is all.
        416 if have > 0 => return Ok(true),
        200 if have == 0 => 0,
        200 => {
            part.set_len(0)?;
            0
        }
        _ => bail!("the server answers {}", response.status()),
    };
    if let Some(rest) = response.body().content_length() {
        bar.set_length(have + rest);
    }
    bar.set_position(have);
    bar.reset_eta();
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    while !stop() {
        match body.read(&mut buffer)? {
            0 => return Ok(true),
            n => part.write_all(&buffer[..n]).map_err(unwritten)?,
        }
        bar.set_position(part.metadata()?.len());
    }
    Ok(false)
}

fn unwritten(error: std::io::Error) -> anyhow::Error {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let advice = if full { ": make room there, or set OTJR_DATA to a folder on another disk" } else { "" };
    anyhow::anyhow!("it could not be written ({error}){advice}")
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
