//! The supported architectures and their names.

use std::{fmt, str::FromStr};

use super::{Error, parameter::Arrays};
use crate::{data::IMAGE_SIZE, settings};

/// Architecture of a network, written as `wrn-28-10`, `resnet-18` or `preact-resnet-18`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// WideResNet-depth-width.
    WideResNet {
        /// Number of layers: 10, 16, 22, 28, 34, ...
        depth: usize,
        /// Factor of the number of channels.
        width: usize,
    },
    /// ResNet-18.
    ResNet18 {
        /// Whether it is the pre-activation variant.
        pre_activation: bool,
        /// Channels of the first stage, usually 64.
        width: usize,
    },
}

/// Channels of the first stage of the usual ResNet-18.
const RESNET_WIDTH: usize = 64;

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::WideResNet { depth, width } => write!(f, "wrn-{depth}-{width}"),
            Self::ResNet18 { pre_activation, width } => {
                f.write_str(if pre_activation { "preact-resnet-18" } else { "resnet-18" })?;
                if width != RESNET_WIDTH { write!(f, "-w{width}") } else { Ok(()) }
            }
        }
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let unknown = || Error::Name(name.into());
        let number = |s: &str| s.parse::<usize>().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(unknown);
        if let Some(rest) = name.strip_prefix("wrn-") {
            let (depth, width) = rest.split_once('-').ok_or_else(unknown)?;
            let (depth, width) = (number(depth)?, number(width)?);
            if depth < 10 || (depth - 4) % 6 != 0 {
                return Err(unknown());
            }
            return Ok(Self::WideResNet { depth, width });
        }
        let (pre_activation, rest) = match name.strip_prefix("preact-") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let width = match rest.strip_prefix("resnet-18").ok_or_else(unknown)? {
            "" => RESNET_WIDTH,
            suffix => number(suffix.strip_prefix("-w").ok_or_else(unknown)?)?,
        };
        Ok(Self::ResNet18 { pre_activation, width })
    }
}

impl settings::Value for Architecture {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|e: Error| e.to_string())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Architecture {
    /// Returns the number of values per image of the largest activation.
    pub fn largest_activation(self) -> usize {
        let channels = match self {
            Self::WideResNet { width, .. } => 16 * width,
            Self::ResNet18 { width, .. } => width,
        };
        IMAGE_SIZE * IMAGE_SIZE * channels
    }

    /// Infers the architecture and the number of classes from the names and shapes of a state dict.
    ///
    /// # Errors
    /// If it is not the state dict of a supported network, or its last layer is missing.
    pub fn infer(arrays: &Arrays) -> Result<(Self, usize), Error> {
        let first_dim = |name: &str| {
            let array = arrays.get(name).ok_or_else(|| Error::Missing(name.into()))?;
            array.shape.first().copied().ok_or_else(|| Error::Missing(name.into()))
        };
        if let Ok(channels) = first_dim("block1.layer.0.conv1.weight") {
            let n = (0..).take_while(|i| arrays.contains_key(&format!("block1.layer.{i}.conv1.weight"))).count();
            return Ok((Self::WideResNet { depth: 6 * n + 4, width: channels / 16 }, first_dim("fc.weight")?));
        }
        if let Ok(width) = first_dim("layer1.0.conv1.weight") {
            let pre_activation = arrays.contains_key("bn.weight");
            return Ok((Self::ResNet18 { pre_activation, width }, first_dim("linear.weight")?));
        }
        Err(Error::UnknownArchitecture)
    }
}
