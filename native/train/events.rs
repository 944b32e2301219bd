//! TensorBoard's event files: what a run measures, for those who watch it there. A sitting writes one file, named after
//! the steps that were done before it, and a run that goes on from a step first drops what earlier sittings wrote beyond
//! it: over all files each step is there once.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use anyhow::Context;

/// TensorBoard looks for the second half of this.
pub const PREFIX: &str = "events.out.tfevents.";

pub struct Events {
    file: File,
    /// What the sittings before this one took, in seconds.
    pub earlier: f64,
}

impl Events {
    /// A new file in the directory of a run that has done `step` steps.
    pub fn open(folder: &Path, step: u64) -> anyhow::Result<Self> {
        Self::try_open(folder, step).with_context(|| format!("could not write event files in {}", folder.display()))
    }

    fn try_open(folder: &Path, step: u64) -> io::Result<Self> {
        let mut earlier = 0.0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.strip_prefix(PREFIX).and_then(|begun| begun.parse::<u64>().ok()) {
                Some(begun) if begun >= step => fs::remove_file(&path)?,
                Some(_) => earlier += cut(&path, step)?,
                None => {}
            }
        }
        let path = folder.join(format!("{PREFIX}{step:010}"));
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&begin())?;
        Ok(Self { file, earlier })
    }

    /// Adds what was measured at a step.
    pub fn write(&mut self, step: u64, scalars: &[(&str, f32)]) -> anyhow::Result<()> {
        self.file.write_all(&measured(step, scalars)).context("could not write the event file")
    }
}

/// The bytes of a file with what was measured at some steps, for what is written anew each time.
pub fn whole<'a>(steps: impl Iterator<Item = (u64, Vec<(&'a str, f32)>)>) -> Vec<u8> {
    begin().into_iter().chain(steps.flat_map(|(step, scalars)| measured(step, &scalars))).collect()
}

/// What a file begins with.
fn begin() -> Vec<u8> {
    record(&event(0, &text(VERSION, b"brain.Event:2")))
}

fn measured(step: u64, scalars: &[(&str, f32)]) -> Vec<u8> {
    let value = |&(tag, value): &(&str, f32)| {
        let scalar = [text(TAG, tag.as_bytes()), [&[SIMPLE_VALUE], &value.to_le_bytes()[..]].concat()].concat();
        text(VALUE, &scalar)
    };
    record(&event(step, &text(SUMMARY, &scalars.iter().flat_map(value).collect::<Vec<u8>>())))
}

/// Drops what a file holds beyond a step, or of which only a part was written; what the rest took, in seconds.
fn cut(path: &Path, step: u64) -> io::Result<f64> {
    let bytes = fs::read(path)?;
    let (mut end, mut times) = (0, None);
    while let Some((event, length)) = next(&bytes[end..]) {
        let Some((time, _)) = moment(event).filter(|(_, at)| *at <= step) else { break };
        // The version comes first, as the sitting begins.
        times = Some((times.map_or(time, |(first, _)| first), time));
        end += length;
    }
    OpenOptions::new().write(true).open(path)?.set_len(end as u64)?;
    Ok(times.map_or(0.0, |(first, last)| last - first))
}

// Protocol buffers, of TensorFlow's event.proto and summary.proto: a field is its key, `number << 3 | kind`, and its value;
// kind 0 is an integer, 1 are 8 bytes, 2 is a length and so many bytes, 5 are 4 bytes.

// Event { 1: wall_time, 2: step, 3: file_version, 5: summary }
const WALL_TIME: u8 = 1 << 3 | 1;
const STEP: u8 = 2 << 3;
const VERSION: u8 = 3 << 3 | 2;
const SUMMARY: u8 = 5 << 3 | 2;
// Summary { 1: value }, Value { 1: tag, 2: simple_value }
const VALUE: u8 = 1 << 3 | 2;
const TAG: u8 = 1 << 3 | 2;
const SIMPLE_VALUE: u8 = 2 << 3 | 5;

fn event(step: u64, what: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    [&[WALL_TIME], &now.as_secs_f64().to_le_bytes()[..], &[STEP], &integer(step), what].concat()
}

/// The time and the step of an event.
fn moment(event: &[u8]) -> Option<(f64, u64)> {
    let (time, rest) = event.strip_prefix(&[WALL_TIME])?.split_first_chunk()?;
    let digits = rest.strip_prefix(&[STEP])?;
    let last = digits.iter().position(|byte| *byte < 0x80)?;
    Some((f64::from_le_bytes(*time), digits[..=last].iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f))))
}

fn text(key: u8, bytes: &[u8]) -> Vec<u8> {
    [&[key], &integer(bytes.len() as u64)[..], bytes].concat()
}

/// Seven bits a byte, the lowest first; all but the last byte have the eighth set.
fn integer(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// An event as a record of the file: its length and itself, each with a checksum.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length, &checksum(&length)[..], event, &checksum(event)].concat()
}

/// The event that `bytes` begin with, and the length of its record; none if it is not all there.
fn next(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (event, rest) = rest.get(4..)?.split_at_checked(length)?;
    rest.starts_with(&checksum(event)).then_some((event, length + 16))
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}
