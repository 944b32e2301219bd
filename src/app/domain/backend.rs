//! The two backends, which of them the user prefers, and the GPU that the browser offers.

/// The worker's two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    Cpu,
    Gpu,
}

/// What the user wants to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendPreference {
    #[default]
    Auto,
    Cpu,
    Gpu,
}

impl BackendPreference {
    pub const ALL: [Self; 3] = [Self::Auto, Self::Cpu, Self::Gpu];

    pub fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.key() == key)
    }
}

/// What GPU the browser offers.
#[derive(Clone, Debug, PartialEq)]
pub enum GpuAdapter {
    /// A real one, by name.
    Real(String),
    /// A GPU only in name, by name.
    Emulated(String),
    /// None; why.
    None(&'static str),
}

impl GpuAdapter {
    /// Judges what WebGPU says of its adapter.
    pub fn judge(vendor: &str, architecture: &str, description: &str, fallback: bool) -> Self {
        let name =
            [vendor, architecture, description].iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>().join(" ");
        let lower = name.to_lowercase();
        let emulators = ["swiftshader", "llvmpipe", "lavapipe", "softpipe", "basic render"];
        if fallback || emulators.iter().any(|e| lower.contains(e)) { Self::Emulated(name) } else { Self::Real(name) }
    }

    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }
}
