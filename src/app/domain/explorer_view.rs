//! The views of the explorer.

use crate::explore::probe::Probe;

/// A view of the explorer. Each shows the effect of the attack on the model's representation of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplorerView {
    /// How far the attack moves each layer.
    #[default]
    Layers,
    /// The image among others in the plane of the latents.
    Embedding,
    /// The transport of adversarial logits to clean logits.
    Transport,
    /// How strongly the logits react to pixels.
    Jacobian,
    /// The margin over the radius, and the loss around the image.
    Landscape,
}

impl ExplorerView {
    /// All views, in the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Layers, Self::Embedding, Self::Transport, Self::Jacobian, Self::Landscape];

    /// The value in URLs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Embedding => "embedding",
            Self::Transport => "transport",
            Self::Jacobian => "jacobian",
            Self::Landscape => "landscape",
        }
    }

    /// The title of the tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Layers => "Layer by layer",
            Self::Embedding => "Embedding",
            Self::Transport => "Transport",
            Self::Jacobian => "Jacobian",
            Self::Landscape => "Loss landscape",
        }
    }

    /// The probes that the view needs, the fastest first. `layer` is the selected layer, or empty.
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
