//! The workers: the current one, and the one that is starting.

use crate::app::domain::backend::{BackendKind, GpuAdapter};

/// Who computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// The worker in use, with its device's name.
    pub current: Option<(BackendKind, String)>,
    /// The worker that is being started.
    pub starting: Option<BackendKind>,
    /// What GPU the browser has, once it said so.
    pub adapter: Option<GpuAdapter>,
    /// Why the GPU was given up, if it was.
    pub gpu_failure: Option<String>,
    pub crashes: u32,
    /// The CPU worker crashed, or its threads did not start. It is started without threads from then on, because shared memory may
    /// be the cause.
    pub cpu_crashed: bool,
}
