//! Timer of the CPU kernels, for `bench --profile`. Its cost is negligible while it is off.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::platform;

/// All calls of one kernel with arguments of one shape.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the kernel.
    pub name: &'static str,
    /// Shape of the arguments.
    pub shape: String,
    /// Number of calls.
    pub calls: u64,
    /// Total time.
    pub seconds: f64,
    /// Total multiply-adds; 0 for kernels other than convolutions.
    pub multiply_adds: u64,
}

static ENABLED: AtomicBool = AtomicBool::new(false);
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// Deletes all entries and starts recording.
///
/// # Panics
/// If a thread panicked while it recorded.
pub fn start() {
    ENTRIES.lock().expect("an unpoisoned lock").clear();
    ENABLED.store(true, Ordering::Relaxed);
}

/// Stops recording and returns the entries since [`start`].
///
/// # Panics
/// If a thread panicked while it recorded.
pub fn stop() -> Vec<Entry> {
    ENABLED.store(false, Ordering::Relaxed);
    std::mem::take(&mut ENTRIES.lock().expect("an unpoisoned lock"))
}

/// Starts a timer that records an entry when it is dropped, if recording is on. `describe` returns shape and
/// multiply-adds.
pub(super) fn time(name: &'static str, describe: impl FnOnce() -> (String, u64)) -> Option<Timer> {
    ENABLED.load(Ordering::Relaxed).then(|| {
        let (shape, multiply_adds) = describe();
        Timer { entry: Entry { name, shape, calls: 1, seconds: 0.0, multiply_adds }, start: platform::milliseconds() }
    })
}

pub(super) struct Timer {
    entry: Entry,
    /// In milliseconds.
    start: f64,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.entry.seconds = (platform::milliseconds() - self.start) / 1e3;
        let mut entries = ENTRIES.lock().expect("an unpoisoned lock");
        match entries.iter_mut().find(|e| e.name == self.entry.name && e.shape == self.entry.shape) {
            Some(entry) => {
                entry.calls += 1;
                entry.seconds += self.entry.seconds;
                entry.multiply_adds += self.entry.multiply_adds;
            }
            None => entries.push(self.entry.clone()),
        }
    }
}
