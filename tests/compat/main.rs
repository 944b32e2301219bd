//! What earlier builds wrote must stay readable: run directories, the page's stored runs, links.
//!
//! The files are in `tests/fixtures/compat`; its README names the build and the command that wrote each. Values that are
//! computed again, not read, are compared with a tolerance: the order of sums depends on the CPU.

mod links;
mod page;
mod programs;

use std::{fs, path::PathBuf};

use serde_json::Value;

/// The path of a fixture.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/compat").join(name)
}

fn read(name: &str) -> Vec<u8> {
    let path = fixture(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Asserts that a number differs from the recorded one by at most a share of it.
fn assert_near(found: f64, recorded: f64, share: f64, what: &str) {
    assert!(
        (found - recorded).abs() <= share * recorded.abs(),
        "{what}: {found}, the earlier build computed {recorded}"
    );
}
