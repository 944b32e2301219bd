//! Downloads a published file once. A partial download is stored as `NAME.part` and resumed by the next call. The file
//! gets its name when it is complete and its checksum is correct.

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

/// A file and its published checksum.
#[derive(Clone, Copy)]
pub struct Published {
    /// File name.
    pub name: &'static str,
    /// MD5 sum in hexadecimal digits.
    pub md5: &'static str,
}

/// A connection that sends no byte for this long is closed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the path of the file in `folder`, and downloads it if it does not exist. `url` is the URL of the file or of
/// the folder that contains it. Returns `None` if `stop` returned true.
///
/// # Errors
/// If the file cannot be downloaded, has another checksum, or cannot be written.
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
    // Another process that needs the file waits here and then finds it. Some network file systems have no locks.
    let _ = part.lock();
    if whole.exists() {
        return Ok(Some(whole));
    }
    let (url, agent) = (file_url(url, file.name), agent());
    let mut received = part.metadata()?.len();
    loop {
        match receive(&agent, &url, &mut part, bar, stop) {
            Ok(true) => break,
            Ok(false) => return Ok(None),
            // The connection was lost. Request the rest as long as each attempt receives something.
            Err(_) if part.metadata()?.len() > received => received = part.metadata()?.len(),
            Err(error) => return Err(error.context(url)),
        }
    }
    let found = md5(&fs::read(&partial)?);
    if found != file.md5 {
        fs::remove_file(&partial)?;
        bail!("the file from {url} is wrong (its MD5 sum is {found}, not {}) and was removed", file.md5);
    }
    part.sync_all().and_then(|()| fs::rename(&partial, &whole)).map_err(write_error)?;
    Ok(Some(whole))
}

/// Returns the URL of the file `name`. `url` is either that URL or the URL of its folder.
fn file_url(url: &str, name: &str) -> String {
    let is_file = url.contains('?') || [".gz", ".tgz"].iter().any(|end| url.ends_with(end));
    if is_file { url.to_owned() } else { format!("{}/{name}", url.trim_end_matches('/')) }
}

/// Uses the proxy of the environment and the certificates of the system, which may include the proxy's own.
fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).http_status_as_error(false);
    let config = config.timeout_connect(Some(TIMEOUT)).timeout_recv_response(Some(TIMEOUT));
    config.timeout_per_read(Some(TIMEOUT)).build().into()
}

/// Appends the missing bytes to the partial file. Returns false if `stop` returned true.
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
        // The server has no more bytes. The checksum shows whether the file is complete.
        416 if have > 0 => return Ok(true),
        200 if have == 0 => 0,
        200 => {
            part.set_len(0)?;
            0
        }
        _ => bail!("the server answered {}", response.status()),
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
            n => part.write_all(&buffer[..n]).map_err(write_error)?,
        }
        bar.set_position(part.metadata()?.len());
    }
    Ok(false)
}

fn write_error(error: std::io::Error) -> anyhow::Error {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let advice = if full { ": free some space, or set OTJR_DATA to a folder on another disk" } else { "" };
    anyhow::anyhow!("it could not be written ({error}){advice}")
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
