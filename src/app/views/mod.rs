//! What the page's representation views show: from a worker's results to charts, and to sentences that say what is seen on
//! this very image. Pure. One view a file.

pub mod embedding;
pub mod jacobian;
pub mod landscape;
pub mod layers;
pub mod margins;
pub mod path;
pub mod progress;
pub mod runs;
pub mod show;
pub mod training;
pub mod transport;

use super::chart::{Axis, Chart, Tone, numbers::short};
use crate::{explore::pca::PrincipalPlane, protocol::Slot};

/// What a view shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// One to three sentences; empty while there is nothing to say.
    pub words: String,
    pub charts: Vec<Chart>,
}

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
    fn series(self) -> &'static str {
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
    pub fn the(self) -> &'static str {
        match self {
            Self::Standard => "the standard model",
            Self::Robust => "the robust model",
            Self::Adversarial => "the PGD-trained model",
            Self::Custom => "your model",
            Self::First => "the model at first",
            Self::Now => "the model now",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Standard | Self::First => Tone::Standard,
            Self::Robust => Tone::Robust,
            Self::Adversarial => Tone::Adversarial,
            Self::Custom | Self::Now => Tone::Custom,
        }
    }
}

/// The axes of a plane, with what they hold of the points' spread.
fn axes(plane: &PrincipalPlane) -> [Axis; 2] {
    let axis = |which: &str, part: f32| Axis::new(&format!("{which} axis, {} of the variance", share(part)), "");
    [axis("first", plane.explained[0]), axis("second", plane.explained[1])]
}

/// A share in two significant digits: `0.5 %`, `1.6 %`, `160 %`; `–` for none.
fn share(part: f32) -> String {
    match 100.0 * part {
        p if !p.is_finite() => "–".into(),
        p if p.abs() >= 10.0 => format!("{} %", short(p.round())),
        p => format!("{} %", short(two_digits(p))),
    }
}

/// Rounded to two significant digits.
fn two_digits(value: f32) -> f32 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f32.powf(value.abs().log10().floor() - 1.0);
    if unit > 0.0 { (value / unit).round() * unit } else { value }
}

/// How many times as large as `b` `a` is, in two digits; `None` where that says nothing.
fn times(a: f32, b: f32) -> Option<String> {
    let ratio = a / b;
    (ratio.is_finite() && ratio > 0.0).then(|| short(two_digits(ratio)))
}

/// A sentence, from its beginning: with a capital letter.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The middle value of those that are finite.
fn median(values: impl IntoIterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}
