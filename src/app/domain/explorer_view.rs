//! The views of representations.

use crate::explore::probe::Probe;

/// What the page shows of representations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplorerView {
    #[default]
    Layers,
    Embedding,
    Transport,
    Jacobian,
    Landscape,
}

impl ExplorerView {
    pub const ALL: [Self; 5] = [Self::Layers, Self::Embedding, Self::Transport, Self::Jacobian, Self::Landscape];

    /// Its name in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Embedding => "embedding",
            Self::Transport => "transport",
            Self::Jacobian => "jacobian",
            Self::Landscape => "landscape",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Layers => "Layer by layer",
            Self::Embedding => "Embedding",
            Self::Transport => "Transport",
            Self::Jacobian => "Jacobian",
            Self::Landscape => "Loss landscape",
        }
    }

    /// What it needs to know, the quickest first; `layer` is the one looked into.
    pub fn probes(self, layer: &str) -> Vec<Probe> {
        match self {
            Self::Layers if layer.is_empty() => vec![Probe::Layers],
            Self::Layers => vec![Probe::Layers, Probe::ChannelMaps(layer.into())],
            Self::Embedding => vec![Probe::Embedding],
            Self::Transport => vec![Probe::Transport],
            Self::Jacobian => vec![Probe::Jacobian],
            Self::Landscape => vec![Probe::MarginCurve, Probe::Landscape],
        }
    }
}
