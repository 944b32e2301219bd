//! Where the CPU's kernels spend their time, for `bench --profile`. Costs nothing to speak of while it is off.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::platform;

/// All calls of one kernel on operands of one shape.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub shape: String,
    pub calls: u64,
    pub seconds: f64,
    pub multiply_adds: u64,
}

static ON: AtomicBool = AtomicBool::new(false);
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// Begins anew.
pub fn start() {
    ENTRIES.lock().expect("no kernel panicked").clear();
    ON.store(true, Ordering::Relaxed);
}

/// What was measured since [`start`].
pub fn stop() -> Vec<Entry> {
    ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut ENTRIES.lock().expect("no kernel panicked"))
}

/// Times until it is dropped. `describe` gives shape and multiply-adds.
pub(super) fn time(name: &'static str, describe: impl FnOnce() -> (String, u64)) -> Option<Timer> {
    ON.load(Ordering::Relaxed).then(|| {
        let (shape, multiply_adds) = describe();
        Timer { entry: Entry { name, shape, calls: 1, seconds: 0.0, multiply_adds }, began: platform::milliseconds() }
    })
}

pub(super) struct Timer {
    entry: Entry,
    began: f64,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.entry.seconds = (platform::milliseconds() - self.began) / 1e3;
        let mut entries = ENTRIES.lock().expect("no kernel panicked");
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
