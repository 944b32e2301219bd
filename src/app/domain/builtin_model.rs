//! Models that are served with the page, and the image domains that they classify.

use crate::{app::domain::sample_photos::PHOTOS, data::synthetic::TEST_IMAGE_COUNT, protocol::Slot};

/// The value of `model` and `sample` in URLs that stands for a file of the user, which stays on their machine.
pub const UPLOADED: &str = "own";

/// The images that the built-in models classify and that the samples show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageDomain {
    /// Ten generated shapes: the embedded data set.
    #[default]
    Shapes,
    /// Photos of the ten classes of CIFAR-10.
    Photos,
}

impl ImageDomain {
    /// All domains, in the order of the menu.
    pub const ALL: [Self; 2] = [Self::Shapes, Self::Photos];

    /// The value in URLs.
    pub fn key(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Photos => "photos",
        }
    }

    /// The name in the menu.
    pub fn title(self) -> &'static str {
        match self {
            Self::Shapes => "generated shapes",
            Self::Photos => "photos",
        }
    }

    /// Number of samples.
    pub fn samples(self) -> u64 {
        match self {
            Self::Shapes => TEST_IMAGE_COUNT,
            Self::Photos => PHOTOS.len() as u64,
        }
    }
}

/// A model that is served with the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuiltinModel {
    /// The images that it classifies.
    pub domain: ImageDomain,
    /// Its slot in the worker, which holds the models of one domain: robust (OTJR), standard or adversarial.
    pub slot: Slot,
}

impl BuiltinModel {
    /// The robust model of the shapes.
    pub const ROBUST: Self = Self { domain: ImageDomain::Shapes, slot: Slot::Robust };
    /// The standard model of the shapes.
    pub const STANDARD: Self = Self { domain: ImageDomain::Shapes, slot: Slot::Standard };

    /// The models of a domain.
    pub fn all(domain: ImageDomain) -> impl Iterator<Item = Self> {
        let slots: &[Slot] = match domain {
            ImageDomain::Shapes => &[Slot::Robust, Slot::Standard],
            ImageDomain::Photos => &[Slot::Robust, Slot::Standard, Slot::Adversarial],
        };
        slots.iter().map(move |&slot| Self { domain, slot })
    }

    /// The model of another domain that was trained in the same way, or its robust model.
    pub fn in_domain(self, domain: ImageDomain) -> Self {
        Self::all(domain).find(|other| other.slot == self.slot).unwrap_or(Self { domain, slot: Slot::Robust })
    }

    /// The value in URLs, and the stem of the file name.
    pub fn key(self) -> &'static str {
        match (self.domain, self.slot) {
            (ImageDomain::Shapes, slot) => slot.key(),
            (ImageDomain::Photos, Slot::Standard) => "photo-ce",
            (ImageDomain::Photos, Slot::Adversarial) => "photo-pgd",
            (ImageDomain::Photos, _) => "photo-otjr",
        }
    }

    /// The file name.
    pub fn file(self) -> String {
        format!("{}.safetensors", self.key())
    }

    /// The name on the page.
    pub fn title(self) -> &'static str {
        self.slot.title()
    }
}

impl Slot {
    /// The value in URLs and in the page's `data-slot` attributes.
    pub fn key(self) -> &'static str {
        match self {
            Self::Robust => "otjr",
            Self::Standard => "ce",
            Self::Adversarial => "pgd",
            Self::Custom => UPLOADED,
            Self::Run => "run",
        }
    }

    /// The name of the model in this slot.
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
