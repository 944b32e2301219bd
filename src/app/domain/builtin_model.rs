//! Models that come with the page, and the image domains that they classify.

use crate::{app::domain::sample_photos::PHOTOS, data::synthetic::TEST_IMAGE_COUNT, protocol::Slot};

/// What the models that come with the page tell apart, and what its samples show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageDomain {
    /// Ten drawn shapes: the embedded set.
    #[default]
    Shapes,
    /// The ten classes of CIFAR-10.
    Photos,
}

impl ImageDomain {
    pub const ALL: [Self; 2] = [Self::Shapes, Self::Photos];

    pub fn key(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Photos => "photos",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Shapes => "drawn shapes",
            Self::Photos => "photos",
        }
    }

    /// How many samples there are.
    pub fn samples(self) -> u64 {
        match self {
            Self::Shapes => TEST_IMAGE_COUNT,
            Self::Photos => PHOTOS.len() as u64,
        }
    }
}

/// A model that comes with the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuiltinModel {
    pub domain: ImageDomain,
    /// Its place in the worker, which holds the models of one world: robust (OTJR), standard or adversarial.
    pub slot: Slot,
}

impl BuiltinModel {
    pub const ROBUST: Self = Self { domain: ImageDomain::Shapes, slot: Slot::Robust };
    pub const STANDARD: Self = Self { domain: ImageDomain::Shapes, slot: Slot::Standard };

    /// Those of a world.
    pub fn all(domain: ImageDomain) -> impl Iterator<Item = Self> {
        let slots: &[Slot] = match domain {
            ImageDomain::Shapes => &[Slot::Robust, Slot::Standard],
            ImageDomain::Photos => &[Slot::Robust, Slot::Standard, Slot::Adversarial],
        };
        slots.iter().map(move |&slot| Self { domain, slot })
    }

    /// The one that goes with it in a world.
    pub fn in_domain(self, domain: ImageDomain) -> Self {
        Self::all(domain).find(|other| other.slot == self.slot).unwrap_or(Self { domain, slot: Slot::Robust })
    }

    /// Its name in addresses, and of its file.
    pub fn key(self) -> &'static str {
        match (self.domain, self.slot) {
            (ImageDomain::Shapes, slot) => slot.key(),
            (ImageDomain::Photos, Slot::Standard) => "photo-ce",
            (ImageDomain::Photos, Slot::Adversarial) => "photo-pgd",
            (ImageDomain::Photos, _) => "photo-otjr",
        }
    }

    pub fn file(self) -> String {
        format!("{}.safetensors", self.key())
    }

    pub fn title(self) -> &'static str {
        self.slot.title()
    }
}

/// Stands in an address for a file of the user's own, which stays on their machine.
pub const OWN: &str = "own";

impl Slot {
    pub fn key(self) -> &'static str {
        match self {
            Self::Robust => "otjr",
            Self::Standard => "ce",
            Self::Adversarial => "pgd",
            Self::Custom => OWN,
            Self::Run => "run",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Robust => "Robust",
            Self::Standard => "Standard",
            Self::Adversarial => "PGD-trained",
            Self::Custom => "Yours",
            Self::Run => "Run",
        }
    }
}
