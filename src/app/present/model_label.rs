//! Names and chart tones of models.

use crate::{app::chart::Tone, protocol::Slot};

/// Whose representation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelLabel {
    Standard,
    Robust,
    /// Of adversarial training alone.
    Adversarial,
    /// The user's.
    Custom,
    /// The run's, at its first look and at its last.
    First,
    Now,
}

impl From<Slot> for ModelLabel {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::Standard => Self::Standard,
            Slot::Robust => Self::Robust,
            Slot::Adversarial => Self::Adversarial,
            Slot::Custom | Slot::Run => Self::Custom,
        }
    }
}

impl ModelLabel {
    /// In a legend.
    pub fn series_name(self) -> &'static str {
        match self {
            Self::Standard => "standard model",
            Self::Robust => "robust model",
            Self::Adversarial => "PGD-trained model",
            Self::Custom => "your model",
            Self::First => "at first",
            Self::Now => "now",
        }
    }

    /// In a sentence.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Standard => "the standard model",
            Self::Robust => "the robust model",
            Self::Adversarial => "the PGD-trained model",
            Self::Custom => "your model",
            Self::First => "the model at first",
            Self::Now => "the model now",
        }
    }

    pub fn tone(self) -> Tone {
        match self {
            Self::Standard | Self::First => Tone::Standard,
            Self::Robust => Tone::Robust,
            Self::Adversarial => Tone::Adversarial,
            Self::Custom | Self::Now => Tone::Custom,
        }
    }
}
