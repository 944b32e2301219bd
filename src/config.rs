//! Every setting, said once: its name, symbol, unit, range and help feed the command line, the page's controls and
//! its URL. A config is a plain struct; [`Settings`] lets a shell read and write it by name, as text.

use std::{fmt, str::FromStr};

use crate::model::Architecture;

/// What a shell needs to know of one setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name on the command line and in URLs, in kebab-case.
    pub key: &'static str,
    /// The paper's symbol or the field's usual one; empty if there is none.
    pub symbol: &'static str,
    pub help: &'static str,
    /// `pixel` for distances between pictures, else empty.
    pub unit: &'static str,
    /// Inclusive, for numbers.
    pub range: Option<[f64; 2]>,
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
    fn parse(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
    /// For the check against a range.
    fn number(&self) -> Option<f64> {
        None
    }
}

macro_rules! number {
    ($($type:ty, $what:literal);*) => {$(
        impl Value for $type {
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
number!(f32, "a number"; usize, "a whole number"; u64, "a whole number");

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

/// A distance between pictures with pixels in [0,1]; written as a fraction of 255 (`8/255`) or a plain number.
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

/// Declares an enum of named choices.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }

        impl FromStr for $name {
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

fn check_range(value: &impl Value, range: Option<[f64; 2]>) -> Result<(), String> {
    match (value.number(), range) {
        (Some(n), Some([low, high])) if !(low..=high).contains(&n) => {
            Err(format!("expected a number between {low} and {high}"))
        }
        _ => Ok(()),
    }
}

/// `lambda_sw` -> `lambda-sw`. Names are few and static, so the text is made once and kept.
fn kebab(field: &'static str) -> &'static str {
    use std::{collections::BTreeMap, sync::Mutex};
    static NAMES: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(|e| e.into_inner());
    names.entry(field).or_insert_with(|| field.replace('_', "-").leak())
}

choices! {
    /// The size of a perturbation.
    pub enum Norm {
        /// The largest change of a pixel's channel.
        Linf = "linf",
        /// The Euclidean length of the change.
        L2 = "l2",
    }
}

choices! {
    /// The attacks.
    pub enum AttackKind {
        /// One step of size epsilon (Goodfellow et al., 2015).
        Fgsm = "fgsm",
        /// Projected gradient ascent (Madry et al., 2018).
        Pgd = "pgd",
    }
}

choices! {
    /// What training minimises.
    pub enum Objective {
        Ce = "ce",
        Pgd = "pgd",
        Trades = "trades",
        Alp = "alp",
        Sinkhorn = "sinkhorn",
        Sw = "sw",
        RandJac = "rand_jac",
        SwJac = "sw_jac",
        Otjr = "otjr",
    }
}

impl Objective {
    /// Whether it looks at adversarial pictures.
    pub fn needs_attack(self) -> bool {
        !matches!(self, Self::Ce | Self::RandJac)
    }
}

choices! {
    /// How the learning rate goes over a run.
    pub enum Schedule {
        /// x 0.1 at 75 % and x 0.01 at 90 % of the run (epochs 75 and 90 of the paper's 100).
        Steps = "steps",
        /// Half a cosine from the rate to 0.
        Cosine = "cosine",
        /// Up linearly for 30 % of the run, then half a cosine to 0.
        OneCycle = "one-cycle",
    }
}

choices! {
    /// The data sets.
    pub enum Dataset {
        /// The generated set, in the program itself.
        Synthetic = "synthetic",
        Cifar10 = "cifar10",
        Cifar100 = "cifar100",
        /// A folder of class folders of pictures.
        Folder = "folder",
    }
}

settings! {
    /// An evaluation attack.
    pub struct AttackConfig {
        /// The attack: fgsm takes one step, pgd many
        attack: AttackKind = AttackKind::Pgd;
        /// What measures the perturbation: linf, the largest change of any pixel value; l2, the Euclidean length
        norm: Norm = Norm::Linf;
        /// Largest perturbation allowed, for pixels in [0,1] (a fraction such as 8/255 will do)
        epsilon: Pixels = Pixels(8.0 / 255.0), symbol "ε", in [0.0, 64.0];
        /// Length of one step of pgd, in the same unit
        step: Pixels = Pixels(2.0 / 255.0), symbol "α", in [0.0, 64.0];
        /// Steps of pgd
        steps: usize = 20, in [1.0, 10000.0];
        /// Runs of pgd from different random starts; each picture keeps its worst
        restarts: usize = 1, in [1.0, 1000.0];
        /// Begin pgd at a random point of the ball rather than at the picture
        random_start: bool = true;
        /// Seed of everything random
        seed: u64 = 0;
    }
}

settings! {
    /// Coefficients of the objectives and the attack inside training; the reference's values.
    pub struct ObjectiveConfig {
        /// Weight of the sliced Wasserstein distance (sw, otjr)
        lambda_sw: f32 = 64.0, symbol "λ_SW", in [0.0, 1e6];
        /// Weight of the Jacobian penalty (rand_jac, sw_jac, otjr)
        lambda_jac: f32 = 0.005, symbol "λ_R", in [0.0, 1e6];
        /// Weight of the KL divergence (trades)
        beta_trades: f32 = 6.0, symbol "β", in [0.0, 1e6];
        /// Weight of logit pairing (alp)
        beta_alp: f32 = 0.5, symbol "β", in [0.0, 1e6];
        /// Weight of the Sinkhorn divergence (sinkhorn)
        lambda_sinkhorn: f32 = 1.0, symbol "λ_S", in [0.0, 1e6];
        /// Projections of the sliced Wasserstein distance, drawn anew each step
        projections: usize = 32, symbol "K", in [1.0, 4096.0];
        /// Radius of the training attack (L-inf, pixels in [0,1])
        train_epsilon: Pixels = Pixels(0.031), symbol "ε", in [0.0, 1.0];
        /// Step of the training attack
        train_step: Pixels = Pixels(0.007), symbol "α", in [0.0, 1.0];
        /// Steps of the training attack
        train_steps: usize = 10, in [1.0, 1000.0];
        /// Standard deviation of the noise at which the training attack starts
        train_noise: f32 = 0.001, symbol "σ", in [0.0, 1.0];
    }
}

settings! {
    /// A training run. The defaults are the paper's recipe; [`TrainConfig::demo`] is what fits into minutes on a laptop.
    pub struct TrainConfig {
        /// What to train on: synthetic needs no files, the others need --data-dir
        dataset: Dataset = Dataset::Cifar10;
        /// Where the data is: a directory, or for CIFAR the .tar.gz itself
        data_dir: String = String::new();
        /// The network: wrn-D-W (wrn-10-1 ... wrn-34-10), resnet-18 or preact-resnet-18
        model: Architecture = Architecture::WideResNet { depth: 34, width: 10 };
        /// What to minimise
        objective: Objective = Objective::Otjr;
        /// Passes over the training pictures
        epochs: usize = 100, in [1.0, 100000.0];
        /// Pictures a step
        batch: usize = 128, in [2.0, 65536.0];
        /// Peak learning rate
        rate: f32 = 0.1, symbol "η", in [0.0, 100.0];
        /// How the rate goes over the run
        schedule: Schedule = Schedule::Steps;
        /// Momentum
        momentum: f32 = 0.9, symbol "μ", in [0.0, 1.0];
        /// Weight decay
        weight_decay: f32 = 2e-4, in [0.0, 1.0];
        /// Crop from 4 pixels of padding and flip at random
        augment: bool = true;
        /// Subtract each channel's mean and divide by its deviation, inside the model
        normalize: bool = false;
        /// Train on at most this many pictures (0: all)
        limit: usize = 0;
        /// Evaluate on at most this many pictures (0: all)
        limit_test: usize = 0;
        /// Seed of everything random
        seed: u64 = 0;
    }
    /// Coefficients of the objective and its attack.
    + coefficients: ObjectiveConfig
}

impl TrainConfig {
    /// The embedded set, a small network, a short attack and a high rate: minutes on two cores. In so few steps the
    /// paper's weight on L_SW costs more than it gives.
    pub fn demo() -> Self {
        let coefficients = ObjectiveConfig {
            train_epsilon: Pixels(8.0 / 255.0),
            train_step: Pixels(5.0 / 255.0),
            train_steps: 2,
            lambda_sw: 1.0,
            ..ObjectiveConfig::default()
        };
        Self {
            dataset: Dataset::Synthetic,
            model: Architecture::WideResNet { depth: 10, width: 1 },
            epochs: 4,
            batch: 64,
            rate: 0.2,
            schedule: Schedule::OneCycle,
            weight_decay: 5e-4,
            augment: false,
            limit: 3200,
            limit_test: 500,
            coefficients,
            ..Self::default()
        }
    }
}
