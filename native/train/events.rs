//! TensorBoard event files. Each session of a run writes one file, named after the step at which it starts. When a run
//! is resumed, events of later steps are removed from earlier files, so that the files contain each step once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use anyhow::Context;

/// Prefix of the files. TensorBoard recognizes files by `tfevents`.
pub const PREFIX: &str = "events.out.tfevents.";

/// The event file of this session.
pub struct Events {
    file: File,
    /// Duration of the earlier sessions in seconds.
    pub earlier_seconds: f64,
}

impl Events {
    /// Creates a file in the directory of a run after `step` steps.
    pub fn open(folder: &Path, step: u64) -> anyhow::Result<Self> {
        Self::try_open(folder, step).with_context(|| format!("could not write event files in {}", folder.display()))
    }

    fn try_open(folder: &Path, step: u64) -> io::Result<Self> {
        let mut earlier_seconds = 0.0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.strip_prefix(PREFIX).and_then(|start| start.parse::<u64>().ok()) {
                Some(start) if start >= step => fs::remove_file(&path)?,
                Some(_) => earlier_seconds += truncate(&path, step)?,
                None => {}
            }
        }
        let path = folder.join(format!("{PREFIX}{step:010}"));
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&header())?;
        Ok(Self { file, earlier_seconds })
    }

    /// Appends values of a step.
    pub fn write(&mut self, step: u64, scalars: &[(&str, f32)]) -> anyhow::Result<()> {
        self.file.write_all(&step_record(step, scalars)).context("could not write the event file")
    }
}

/// Returns the bytes of a complete file with values of several steps.
pub fn file<'a>(steps: impl Iterator<Item = (u64, Vec<(&'a str, f32)>)>) -> Vec<u8> {
    header().into_iter().chain(steps.flat_map(|(step, scalars)| step_record(step, &scalars))).collect()
}

/// Returns the first record of a file: the version of the format.
fn header() -> Vec<u8> {
    record(&event(0, &bytes_field(VERSION, b"brain.Event:2")))
}

fn step_record(step: u64, scalars: &[(&str, f32)]) -> Vec<u8> {
    let value = |&(tag, value): &(&str, f32)| {
        let scalar = [bytes_field(TAG, tag.as_bytes()), [&[SIMPLE_VALUE], &value.to_le_bytes()[..]].concat()].concat();
        bytes_field(VALUE, &scalar)
    };
    record(&event(step, &bytes_field(SUMMARY, &scalars.iter().flat_map(value).collect::<Vec<u8>>())))
}

/// Removes incomplete records and records after `step` from a file. Returns the time between its first and last
/// remaining record in seconds.
fn truncate(path: &Path, step: u64) -> io::Result<f64> {
    let bytes = fs::read(path)?;
    let (mut end, mut times) = (0, None);
    while let Some((event, length)) = next_event(&bytes[end..]) {
        let Some((time, _)) = time_and_step(event).filter(|(_, at)| *at <= step) else { break };
        // The first record is the version, written at the start of the session.
        times = Some((times.map_or(time, |(first, _)| first), time));
        end += length;
    }
    OpenOptions::new().write(true).open(path)?.set_len(end as u64)?;
    Ok(times.map_or(0.0, |(first, last)| last - first))
}

// Protocol buffers of TensorFlow's event.proto and summary.proto. A field is a key, `number << 3 | kind`, and a value.
// Kind 0 is an integer, 1 is 8 bytes, 2 is a length followed by that many bytes, 5 is 4 bytes.

// Event { 1: wall_time, 2: step, 3: file_version, 5: summary }
const WALL_TIME: u8 = 1 << 3 | 1;
const STEP: u8 = 2 << 3;
const VERSION: u8 = 3 << 3 | 2;
const SUMMARY: u8 = 5 << 3 | 2;
// Summary { 1: value }, Value { 1: tag, 2: simple_value }
const VALUE: u8 = 1 << 3 | 2;
const TAG: u8 = 1 << 3 | 2;
const SIMPLE_VALUE: u8 = 2 << 3 | 5;

fn event(step: u64, content: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    [&[WALL_TIME], &now.as_secs_f64().to_le_bytes()[..], &[STEP], &integer(step), content].concat()
}

/// Returns the time and the step of an event.
fn time_and_step(event: &[u8]) -> Option<(f64, u64)> {
    let (time, rest) = event.strip_prefix(&[WALL_TIME])?.split_first_chunk()?;
    let digits = rest.strip_prefix(&[STEP])?;
    let last = digits.iter().position(|byte| *byte < 0x80)?;
    Some((f64::from_le_bytes(*time), digits[..=last].iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f))))
}

/// Encodes a field of kind 2.
fn bytes_field(key: u8, bytes: &[u8]) -> Vec<u8> {
    [&[key], &integer(bytes.len() as u64)[..], bytes].concat()
}

/// Encodes an integer with seven bits in each byte, lowest first. The eighth bit is set in all bytes but the last.
fn integer(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Encodes an event as a record: its length and its bytes, each with a checksum.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length, &checksum(&length)[..], event, &checksum(event)].concat()
}

/// Returns the first event of `bytes` and the length of its record, or `None` if the record is incomplete.
fn next_event(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (event, rest) = rest.get(4..)?.split_at_checked(length)?;
    rest.starts_with(&checksum(event)).then_some((event, length + 16))
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
