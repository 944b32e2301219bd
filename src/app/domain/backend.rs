//! The two backends, the user's preference, and the GPU that the browser offers.

/// A build of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// Computes on the CPU.
    Cpu,
    /// Computes with WebGPU.
    Gpu,
}

/// The backend that the user prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendPreference {
    /// WebGPU if there is a hardware GPU, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// WebGPU, even if it is emulated in software.
    Gpu,
}

impl BackendPreference {
    /// All preferences, in the order of the menu.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Cpu, Self::Gpu];

    /// The value in URLs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }

    /// The preference with this [key](Self::key).
    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preference| preference.key() == key)
    }
}

/// The WebGPU adapter of the browser.
#[derive(Clone, Debug, PartialEq)]
pub enum GpuAdapter {
    /// A hardware GPU, by name.
    Real(String),
    /// A GPU that is emulated in software, by name.
    Emulated(String),
    /// There is no adapter, with the reason.
    None(&'static str),
}

impl GpuAdapter {
    /// Classifies an adapter by the fields of its `GPUAdapterInfo`.
    pub fn from_info(vendor: &str, architecture: &str, description: &str, is_fallback: bool) -> Self {
        let parts: Vec<&str> =
            [vendor, architecture, description].into_iter().filter(|part| !part.is_empty()).collect();
        let name = parts.join(" ");
        let lower = name.to_lowercase();
        let emulators = ["swiftshader", "llvmpipe", "lavapipe", "softpipe", "basic render"];
        if is_fallback || emulators.iter().any(|emulator| lower.contains(emulator)) {
            Self::Emulated(name)
        } else {
            Self::Real(name)
        }
    }

    /// Whether the adapter is a hardware GPU.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }
}
