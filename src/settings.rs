//! Settings that can be listed, read and written by name, as text. They are the single source of truth for command-line
//! flags, controls of the page and URL parameters.
//!
//! The macro `settings!` declares a config: a plain struct that implements [`Settings`]. The macro `choices!` declares
//! an enum of named values. IMPORTANT: in both macros doc comments are user-visible. They become the help of the command
//! line and the labels of the page.

/// A setting as text: its key and its value.
pub type Pair = (String, String);

/// Description of one setting, from which flags and controls are built.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name on the command line and in URLs, in kebab-case.
    pub key: &'static str,
    /// Symbol in the paper, or the usual one; empty if there is none.
    pub symbol: &'static str,
    /// Help text, one sentence without a final period.
    pub help: &'static str,
    /// `pixel` for distances between images, otherwise empty.
    pub unit: &'static str,
    /// Smallest and largest allowed number.
    pub range: Option<[f64; 2]>,
    /// Whether values are whole numbers.
    pub whole: bool,
    /// Allowed names; empty if the setting is not a choice.
    pub choices: &'static [&'static str],
}

/// A value that a setting does not accept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key} = '{value}': {problem}")]
pub struct Error {
    /// Key of the setting.
    pub key: String,
    /// Rejected value.
    pub value: String,
    /// Reason, as in "expected a whole number".
    pub problem: String,
}

/// A config whose settings can be listed, read and written by name.
pub trait Settings: Default + Clone {
    /// Returns the descriptions of all settings, in order.
    fn settings() -> Vec<Setting>;

    /// Returns the value of `key` as text that [`Settings::set`] parses to the same value; `None` for an unknown key.
    fn get(&self, key: &str) -> Option<String>;

    /// Sets `key` to the value that `value` spells.
    ///
    /// # Errors
    /// If the key is unknown, the text is not a value of its type, or the number is out of range.
    fn set(&mut self, key: &str, value: &str) -> Result<(), Error>;

    /// Returns the settings as keys and values, in order.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        Self::settings().iter().filter_map(|s| Some((s.key, self.get(s.key)?))).collect()
    }

    /// Returns the settings as owned keys and values, in order, as messages and files store them.
    fn to_pairs(&self) -> Vec<Pair> {
        self.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Sets each pair in order, up to the first error.
    ///
    /// # Errors
    /// Returns the error of [`Settings::set`].
    fn apply(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        pairs.iter().try_for_each(|(key, value)| self.set(key, value))
    }

    /// Returns the default config with each pair set.
    ///
    /// # Errors
    /// Returns the error of [`Settings::set`].
    fn from_pairs(pairs: &[Pair]) -> Result<Self, Error> {
        let mut config = Self::default();
        config.apply(pairs)?;
        Ok(config)
    }
}

/// A type that settings can have.
pub trait Value: Sized {
    /// Allowed names; empty if the type is not a choice.
    const CHOICES: &'static [&'static str] = &[];
    /// Unit of the values; see [`Setting::unit`].
    const UNIT: &'static str = "";
    /// Whether values are whole numbers.
    const WHOLE: bool = false;

    /// Parses a value.
    ///
    /// # Errors
    /// Returns what was expected, as in "expected true or false".
    fn parse(text: &str) -> Result<Self, String>;

    /// Returns text that [`Value::parse`] parses to the same value.
    fn show(&self) -> String;

    /// Returns the number that is compared with the range; `None` if the value is not a number.
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

/// A distance between images with pixels in [0,1]; written as a fraction of 255 (`8/255`) or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Pixels(pub f32);

impl Value for Pixels {
    const UNIT: &'static str = "pixel";
    fn parse(text: &str) -> Result<Self, String> {
        let finite = |s: &str| s.trim().parse::<f32>().ok().filter(|v| v.is_finite());
        let value = match text.split_once('/') {
            Some((numerator, denominator)) => match (finite(numerator), finite(denominator)) {
                (Some(a), Some(b)) if b != 0.0 => Some(a / b),
                _ => None,
            },
            None => finite(text),
        };
        value.map(Self).ok_or_else(|| "expected a number such as 0.03 or 8/255".into())
    }

    fn show(&self) -> String {
        let steps = self.0 * 255.0;
        // Multiples of 0.5/255 are written as fractions, if the fraction parses to the same number.
        let fraction = format!("{}/255", (steps * 2.0).round() / 2.0);
        if steps >= 0.5 && Self::parse(&fraction) == Ok(*self) { fraction } else { self.0.to_string() }
    }

    fn number(&self) -> Option<f64> {
        Some(self.0 as f64)
    }
}

/// Declares an enum of named choices. The doc comments of the variants are user-visible help.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $about:literal])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $about])* $variant),* }

        impl $name {
            /// All choices, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Returns a sentence that explains the choice; empty if it has none.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),*).trim_ascii()),* }
            }
        }

        impl $crate::settings::Value for $name {
            const CHOICES: &'static [&'static str] = &[$($text),*];
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("expected one of {}", <Self as $crate::settings::Value>::CHOICES.join(", "))),
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
                $crate::settings::Value::parse(text)
            }
        }
    };
}

/// Declares a config: for each setting its help, name, type, default value, symbol and range; then the configs it
/// contains. The doc comments of the settings are user-visible help.
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

        impl $crate::settings::Settings for $name {
            fn settings() -> Vec<$crate::settings::Setting> {
                let settings = [$($crate::settings::Setting {
                    key: $crate::settings::key!($field),
                    symbol: concat!($($symbol)?),
                    help: $help.trim_ascii(),
                    unit: <$type as $crate::settings::Value>::UNIT,
                    range: None $(.or(Some($range)))?,
                    whole: <$type as $crate::settings::Value>::WHOLE,
                    choices: <$type as $crate::settings::Value>::CHOICES,
                }),*];
                settings.into_iter()$(.chain(<$part_type as $crate::settings::Settings>::settings()))*.collect()
            }

            fn get(&self, key: &str) -> Option<String> {
                $(if key == $crate::settings::key!($field) {
                    return Some($crate::settings::Value::show(&self.$field));
                })*
                $(if let Some(value) = $crate::settings::Settings::get(&self.$part, key) {
                    return Some(value);
                })*
                None
            }

            fn set(&mut self, key: &str, value: &str) -> Result<(), $crate::settings::Error> {
                let refuse = |problem: String| $crate::settings::Error { key: key.into(), value: value.into(), problem };
                $(if key == $crate::settings::key!($field) {
                    let parsed = <$type as $crate::settings::Value>::parse(value).map_err(refuse)?;
                    let range: Option<[f64; 2]> = None $(.or(Some($range)))?;
                    $crate::settings::check_range(&parsed, range).map_err(refuse)?;
                    self.$field = parsed;
                    return Ok(());
                })*
                $(if $crate::settings::Settings::get(&self.$part, key).is_some() {
                    return $crate::settings::Settings::set(&mut self.$part, key, value);
                })*
                Err(refuse("unknown setting".into()))
            }
        }
    };
}

/// Checks a value against the range of its setting.
///
/// # Errors
/// If the value is a number outside the range.
pub(crate) fn check_range(value: &impl Value, range: Option<[f64; 2]>) -> Result<(), String> {
    match (value.number(), range) {
        (Some(n), Some([low, high])) if !(low..=high).contains(&n) => {
            Err(format!("expected a number between {low} and {high}"))
        }
        _ => Ok(()),
    }
}

/// Returns the key of a field at compile time: `lambda_sw` -> `lambda-sw`.
macro_rules! key {
    ($field:ident) => {{
        const FIELD: &str = stringify!($field);
        const BYTES: [u8; FIELD.len()] = $crate::settings::kebab_case(FIELD);
        const KEY: &str = match std::str::from_utf8(&BYTES) {
            Ok(key) => key,
            Err(_) => panic!("field names are UTF-8"),
        };
        KEY
    }};
}

/// Replaces underscores by hyphens. `N` is the length of `field`.
pub(crate) const fn kebab_case<const N: usize>(field: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        let byte = field.as_bytes()[i];
        bytes[i] = if byte == b'_' { b'-' } else { byte };
        i += 1;
    }
    bytes
}

pub(crate) use {choices, key, settings};
