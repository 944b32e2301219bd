//! How settings are declared, listed, read and written by name, as text.

use crate::model::Architecture;

/// What a shell needs to know of one setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name on the command line and in URLs, in kebab-case.
    pub key: &'static str,
    /// The paper's symbol or the field's usual one; empty if there is none.
    pub symbol: &'static str,
    pub help: &'static str,
    /// `pixel` for distances between images, else empty.
    pub unit: &'static str,
    /// Inclusive, for numbers.
    pub range: Option<[f64; 2]>,
    /// Whether it is counted.
    pub whole: bool,
    /// The names to choose from; empty if it is not a choice.
    pub choices: &'static [&'static str],
}

/// A value that a setting was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key} = '{value}': {problem}")]
pub struct Error {
    pub key: String,
    pub value: String,
    pub problem: String,
}

/// A config whose settings can be listed, read and written by name.
pub trait Settings: Default + Clone {
    fn settings() -> Vec<Setting>;
    /// The value of `key` as text that [`Settings::set`] reads back to the same value.
    fn get(&self, key: &str) -> Option<String>;
    fn set(&mut self, key: &str, value: &str) -> Result<(), Error>;

    /// The settings as text, in order.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        Self::settings().iter().filter_map(|s| Some((s.key, self.get(s.key)?))).collect()
    }
}

/// A type that settings can have.
pub trait Value: Sized {
    const CHOICES: &'static [&'static str] = &[];
    const UNIT: &'static str = "";
    const WHOLE: bool = false;
    fn parse(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
    /// For the check against a range.
    fn number(&self) -> Option<f64> {
        None
    }
}

macro_rules! number {
    ($($type:ty, $whole:literal, $what:literal);*) => {$(
        impl Value for $type {
            const WHOLE: bool = $whole;
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| concat!("expected ", $what).into())
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )*};
}
number!(f32, false, "a number"; usize, true, "a whole number"; u64, true, "a whole number");

impl Value for bool {
    const CHOICES: &'static [&'static str] = &["true", "false"];
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected true or false".into())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for Architecture {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|e: crate::model::Error| e.to_string())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// A distance between images with pixels in [0,1]; written as a fraction of 255 (`8/255`) or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Pixels(pub f32);

impl Value for Pixels {
    const UNIT: &'static str = "pixel";
    fn parse(text: &str) -> Result<Self, String> {
        let part = |s: &str| s.trim().parse::<f32>().ok().filter(|v| v.is_finite());
        let value = match text.split_once('/') {
            Some((a, b)) => part(a).zip(part(b)).filter(|(_, b)| *b != 0.0).map(|(a, b)| a / b),
            None => part(text),
        };
        value.map(Self).ok_or_else(|| "expected a number such as 0.03 or 8/255".into())
    }

    fn show(&self) -> String {
        let steps = self.0 * 255.0;
        // Whole and half steps read better as fractions, if the fraction is the very same number.
        let fraction = format!("{}/255", (steps * 2.0).round() / 2.0);
        if steps >= 0.5 && Self::parse(&fraction) == Ok(*self) { fraction } else { self.0.to_string() }
    }

    fn number(&self) -> Option<f64> {
        Some(self.0 as f64)
    }
}

/// Declares an enum of named choices; what their comments say can be shown to people.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $about:literal])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $about])* $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as it is written and read.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What it is, in a sentence; empty if the name says it.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),*).trim_ascii()),* }
            }
        }

        impl Value for $name {
            const CHOICES: &'static [&'static str] = &[$($text),*];
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("expected one of {}", Self::CHOICES.join(", "))),
                }
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Value::parse(text)
            }
        }
    };
}

/// Declares a config: for each setting its help, name, type, default, symbol and range; then the configs it contains.
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident {
        $(#[doc = $help:literal] $field:ident: $type:ty = $default:expr $(, symbol $symbol:literal)? $(, in $range:expr)?;)*
    } $($(#[doc = $part_doc:literal])* + $part:ident: $part_type:ty)*) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = $help] pub $field: $type,)*
            $($(#[doc = $part_doc])* pub $part: $part_type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* $($part: Default::default(),)* }
            }
        }

        impl Settings for $name {
            fn settings() -> Vec<Setting> {
                let own = [$(Setting {
                    key: kebab(stringify!($field)),
                    symbol: concat!($($symbol)?),
                    help: $help.trim_ascii(),
                    unit: <$type as Value>::UNIT,
                    range: None $(.or(Some($range)))?,
                    whole: <$type as Value>::WHOLE,
                    choices: <$type as Value>::CHOICES,
                }),*];
                own.into_iter()$(.chain(<$part_type>::settings()))*.collect()
            }

            fn get(&self, key: &str) -> Option<String> {
                $(if key == kebab(stringify!($field)) {
                    return Some(self.$field.show());
                })*
                $(if let Some(value) = self.$part.get(key) {
                    return Some(value);
                })*
                None
            }

            fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
                let refuse = |problem: String| Error { key: key.into(), value: value.into(), problem };
                $(if key == kebab(stringify!($field)) {
                    let parsed = <$type as Value>::parse(value).map_err(refuse)?;
                    let range: Option<[f64; 2]> = None $(.or(Some($range)))?;
                    check_range(&parsed, range).map_err(refuse)?;
                    self.$field = parsed;
                    return Ok(());
                })*
                $(if self.$part.get(key).is_some() {
                    return self.$part.set(key, value);
                })*
                Err(refuse("there is no such setting".into()))
            }
        }
    };
}

pub fn check_range(value: &impl Value, range: Option<[f64; 2]>) -> Result<(), String> {
    match (value.number(), range) {
        (Some(n), Some([low, high])) if !(low..=high).contains(&n) => {
            Err(format!("expected a number between {low} and {high}"))
        }
        _ => Ok(()),
    }
}

/// `lambda_sw` -> `lambda-sw`. Names are few and static, so the text is made once and kept.
pub fn kebab(field: &'static str) -> &'static str {
    use std::{collections::BTreeMap, sync::Mutex};
    static NAMES: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(|e| e.into_inner());
    names.entry(field).or_insert_with(|| field.replace('_', "-").leak())
}

pub(super) use {choices, settings};
