//! Names and chart styles of models.

use crate::{app::chart::SeriesStyle, protocol::Slot};

/// A model in a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelLabel {
    /// The standard model.
    Standard,
    /// The robust model, trained with OTJR.
    Robust,
    /// The model of PGD adversarial training.
    Adversarial,
    /// The uploaded model.
    Custom,
    /// The model of a training run at its first snapshot.
    First,
    /// The model of a training run at its last snapshot.
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
    /// The name in a legend.
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

    /// The name in a sentence.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Standard => "the standard model",
            Self::Robust => "the robust model",
            Self::Adversarial => "the PGD-trained model",
            Self::Custom => "your model",
            Self::First => "the initial model",
            Self::Now => "the current model",
        }
    }

    /// The style in charts.
    pub fn style(self) -> SeriesStyle {
        match self {
            Self::Standard | Self::First => SeriesStyle::Standard,
            Self::Robust => SeriesStyle::Robust,
            Self::Adversarial => SeriesStyle::PgdTrained,
            Self::Custom | Self::Now => SeriesStyle::Custom,
        }
    }
}
