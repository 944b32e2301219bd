//! The workers: the current one, and the one that is starting.

use crate::app::domain::backend::{BackendKind, GpuAdapter};

/// The workers and what is known of the GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// The current worker and the name of its device.
    pub current: Option<(BackendKind, String)>,
    /// The worker that is starting.
    pub starting: Option<BackendKind>,
    /// The GPU of the browser; `None` until the browser answers.
    pub adapter: Option<GpuAdapter>,
    /// Why WebGPU is no longer tried.
    pub gpu_failure: Option<String>,
    /// Number of crashes since the user chose the backend.
    pub crashes: u32,
    /// The CPU worker crashed, or its threads did not start. It is started without threads from then on, because shared memory
    /// may be the cause.
    pub cpu_crashed: bool,
}
