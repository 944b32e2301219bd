//! Every setting, said once: its name, symbol, unit, range and help feed the command line, the page's controls and
//! its URL. A config is a plain struct; [`Settings`] lets a shell read and write it by name, as text.

mod attack;
mod settings;
mod train;

pub use attack::{AttackConfig, AttackKind, AttackLoss, Norm, StepSchedule};
use settings::choices;
pub use settings::{Error, Pixels, Setting, Settings, Value};
pub use train::{Objective, ObjectiveConfig, Schedule, TrainConfig};

choices! {
    /// Common corruptions, by CIFAR-10-C's names, in order of their place in seeds: new ones come last.
    pub enum Corruption {
        /// A sensor in low light.
        GaussianNoise = "gaussian_noise",
        /// Light that comes in particles.
        ShotNoise = "shot_noise",
        /// Broken bits.
        ImpulseNoise = "impulse_noise",
        /// A soft image.
        GaussianBlur = "gaussian_blur",
        /// A lens out of focus.
        DefocusBlur = "defocus_blur",
        /// A camera that moves.
        MotionBlur = "motion_blur",
        /// Patches of white.
        Fog = "fog",
        /// More light.
        Brightness = "brightness",
        /// Less contrast.
        Contrast = "contrast",
        /// Paler or stronger colors.
        Saturate = "saturate",
        /// Fewer pixels.
        Pixelate = "pixelate",
        /// A JPEG file.
        JpegCompression = "jpeg_compression",
    }
}

choices! {
    /// The data sets.
    pub enum Dataset {
        /// The generated set, in the program itself.
        Synthetic = "synthetic",
        Cifar10 = "cifar10",
        Cifar100 = "cifar100",
        /// A folder or a zip of class folders of images.
        Folder = "folder",
    }
}
