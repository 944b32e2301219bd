//! The programs as users run them: results, interrupted and resumed runs, bad input.

mod attack;
mod evaluate;
mod study;
mod train;
mod verify;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// A port on which nothing listens.
pub const NO_NETWORK: &str = "http://127.0.0.1:1";
pub const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/wrn10_1-c3-b3.safetensors");

pub fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    (output, text)
}

pub fn refused(command: &mut Command, because: &str) {
    let (output, text) = output(command);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(because), "'{because}' is not in: {text}");
}

pub const OTJR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/otjr.safetensors");
pub const CE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/ce.safetensors");

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
