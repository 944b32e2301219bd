//! What the native programs share: arguments made from settings, data sets from disk or from where
//! they are published, files that are whole or absent.

mod allocator;
pub mod arguments;
pub mod console;
pub mod dataset;
mod download;
pub mod files;
pub mod interrupt;
pub mod style;

use std::path::{Path, PathBuf};

/// `runs/NAME`, or `runs/NAME-2` and so on.
pub fn unused(name: &str) -> PathBuf {
    let numbered = |n: usize| Path::new("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    (1..).map(numbered).find(|path| !path.exists()).expect("there are numbers enough")
}
