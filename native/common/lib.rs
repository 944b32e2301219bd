//! Code that the native programs share.

#[cfg(target_arch = "wasm32")]
compile_error!("the programs do not compile for WebAssembly: build the package `otjr` only (cargo ... -p otjr)");

mod allocator;
pub mod arguments;
pub mod console;
pub mod dataset;
pub mod download;
pub mod evaluation;
pub mod files;
pub mod interrupt;
pub mod memory;
pub mod style;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Runs a program: returns its exit code, or prints its error and returns exit code 1.
pub fn main(run: impl FnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Returns the first of `runs/NAME`, `runs/NAME-2`, `runs/NAME-3`, ... that does not exist.
///
/// # Panics
/// Never: the sequence of names has no end.
pub fn unused_run_dir(name: &str) -> PathBuf {
    let numbered = |n: usize| Path::new("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    (1..).map(numbered).find(|path| !path.exists()).expect("the sequence of names has no end")
}
