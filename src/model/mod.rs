//! Classifiers of 3x32x32 images with pixels in [0,1]; normalization, if any, is inside the model.
//!
//! Every layer takes a [`Dual`]: a value and, if asked for, its tangent, so that there is one forward pass to read.
//! Names and layouts of parameters are PyTorch's. The mode of batch normalization is an argument, never a state.

pub mod cost;
pub mod dual;
pub mod head;
mod layers;
pub mod names;
pub mod parameter;
mod resnet;
mod wide_resnet;

use std::{fmt, str::FromStr};

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};

use crate::{data::IMAGE_SIZE, kernel, settings};
use dual::Dual;
pub use layers::BatchStatistics;
use layers::Linear;
use parameter::{Array, Arrays, Builder, Init, Parameter, Slot};

/// Anything that can be attacked: gives the logits `[B, C]` of pixels `[B, 3, H, W]`, image by image. Attacks that
/// follow gradients need it to be made of operations that burn can differentiate.
pub trait Classifier {
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
}

/// What is wrong with a model's name or file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "unknown model '{0}': expected wrn-D-W with D = 10, 16, 22, 28, 34, ... (wrn-28-10), resnet-18 or preact-resnet-18"
    )]
    Name(String),
    #[error(
        "the file holds no network known here: neither a WideResNet (block1.layer.0.conv1.weight) nor a ResNet-18 (layer1.0.conv1.weight)"
    )]
    UnknownArchitecture,
    #[error("the file lacks the tensor '{0}': it is incomplete or of another network")]
    Missing(String),
    #[error("the file holds a tensor '{0}' that a {1} does not have: it is of another network")]
    Unexpected(String, Architecture),
    #[error("tensor '{name}' has shape {found:?}, where the network needs {expected:?}")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error(
        "tensor '{name}' holds {value} at position {at}: the training that wrote it diverged, or the file is damaged"
    )]
    NotFinite { name: String, at: usize, value: f32 },
}

/// How batch normalization behaves in a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the running statistics; images do not see each other.
    Inference,
    /// With the batch's statistics.
    Training,
}

/// One forward pass: the mode it runs in and what it leaves behind.
pub struct Pass {
    mode: Mode,
    /// In training, the batch's statistics in the order of the layers, if they are wanted.
    statistics: Option<Vec<BatchStatistics>>,
    recording: bool,
    /// Of a recording pass: the output `[B, C, H, W]` of each layer that is drawn, by its state-dict name, in order: the
    /// first convolution, the units, and the last activation before the pool.
    pub activations: Vec<(String, Tensor<4>)>,
}

impl Pass {
    pub fn inference() -> Self {
        Self::new(Mode::Inference, None)
    }

    /// Inference mode; the activations are kept.
    pub fn recording() -> Self {
        Self { recording: true, ..Self::inference() }
    }

    /// Training mode; the statistics are for [`Model::update_running`].
    pub fn training() -> Self {
        Self::new(Mode::Training, Some(Vec::new()))
    }

    /// Training mode for a pass that repeats another one: its statistics are not kept.
    pub fn repeated() -> Self {
        Self::new(Mode::Training, None)
    }

    fn new(mode: Mode, statistics: Option<Vec<BatchStatistics>>) -> Self {
        Self { mode, statistics, recording: false, activations: Vec::new() }
    }

    /// It with its statistics on a device.
    pub fn on_device(self, device: &Device) -> Self {
        let moved = |s: Vec<BatchStatistics>| s.into_iter().map(|s| s.on_device(device)).collect();
        Self { statistics: self.statistics.map(moved), ..self }
    }

    /// Passes `x` on; a recording pass keeps it under `name`.
    fn record(&mut self, name: &str, x: Dual<4>) -> Dual<4> {
        if self.recording {
            self.activations.push((name.to_owned(), kernel::images(x.value.clone())));
        }
        x
    }
}

/// The networks that can be built, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    WideResNet { depth: usize, width: usize },
    ResNet18 { pre_activation: bool, width: usize },
}

/// ResNet-18's usual first width.
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

impl Architecture {
    /// Numbers an image in the largest activation.
    pub fn widest(self) -> usize {
        IMAGE_SIZE
            * IMAGE_SIZE
            * match self {
                Self::WideResNet { width, .. } => 16 * width,
                Self::ResNet18 { width, .. } => width,
            }
    }

    /// Reads architecture and number of classes off the names and shapes of a file's tensors.
    pub fn infer(arrays: &Arrays) -> Result<(Self, usize), Error> {
        let dim = |name: &str| {
            let array = arrays.get(name).ok_or_else(|| Error::Missing(name.into()))?;
            array.shape.first().copied().ok_or_else(|| Error::Missing(name.into()))
        };
        if let Ok(channels) = dim("block1.layer.0.conv1.weight") {
            let n = (0..).take_while(|i| arrays.contains_key(&format!("block1.layer.{i}.conv1.weight"))).count();
            return Ok((Self::WideResNet { depth: 6 * n + 4, width: channels / 16 }, dim("fc.weight")?));
        }
        if let Ok(width) = dim("layer1.0.conv1.weight") {
            let pre_activation = arrays.contains_key("bn.weight");
            return Ok((Self::ResNet18 { pre_activation, width }, dim("linear.weight")?));
        }
        Err(Error::UnknownArchitecture)
    }
}

/// Per-channel `(x - mean) / std` ahead of the network, kept in files as `normalize.mean` and `normalize.std`.
#[derive(Clone, Debug)]
struct Normalization {
    mean: Parameter<1>,
    std: Parameter<1>,
}

impl Normalization {
    fn forward(&self, x: Dual<4>) -> Dual<4> {
        let scale = self.std.tensor.clone().recip().reshape([1, 3, 1, 1]);
        let mean = self.mean.tensor.clone().reshape([1, 3, 1, 1]);
        x.shift(-mean).linear(|t| t * scale.clone())
    }
}

/// All but the last layer.
#[derive(Clone, Debug)]
enum Network {
    WideResNet(wide_resnet::WideResNet),
    ResNet(resnet::ResNet),
}

/// A classifier with its weights on a device. Cloning shares the tensors, which are immutable.
#[derive(Clone, Debug)]
pub struct Model {
    pub architecture: Architecture,
    pub classes: usize,
    normalization: Option<Normalization>,
    network: Network,
    head: Linear,
}

/// What a forward pass gives.
pub struct Output {
    /// The activations that the last layer classifies, `[B, L]`.
    pub latent: Dual<2>,
    /// `[B, C]`.
    pub logits: Dual<2>,
}

impl Model {
    /// The names of the normalization's two buffers in files.
    pub const MEAN: &str = "normalize.mean";
    pub const STD: &str = "normalize.std";

    /// A model with fresh weights, drawn as the reference draws them. `normalization` is (mean, std) per channel.
    pub fn new(
        architecture: Architecture,
        classes: usize,
        normalization: Option<[[f32; 3]; 2]>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, Error> {
        let mut model = Self::build(&mut Builder::random(seed, device), architecture, classes, false)?;
        model.normalization = normalization.map(|[mean, std]| {
            let buffer = |name: &str, values: [f32; 3]| Parameter {
                name: name.into(),
                tensor: Tensor::from_data(TensorData::from(values), device),
                learned: false,
            };
            Normalization { mean: buffer(Model::MEAN, mean), std: buffer(Model::STD, std) }
        });
        Ok(model)
    }

    /// The model that a state dict holds; its architecture is read off the tensors' names and shapes.
    pub fn from_arrays(arrays: &Arrays, device: &Device) -> Result<Self, Error> {
        let (architecture, classes) = Architecture::infer(arrays)?;
        let normalized = Self::normalizes(arrays);
        let mut model = Self::build(&mut Builder::named(arrays, device), architecture, classes, normalized)?;
        let known: std::collections::BTreeSet<_> = model.slots().iter().map(|s| s.name().to_owned()).collect();
        let foreign = |name: &&String| !known.contains(*name) && !name.ends_with(".num_batches_tracked");
        match arrays.keys().find(foreign) {
            Some(name) => Err(Error::Unexpected(name.clone(), architecture)),
            None => Ok(model),
        }
    }

    /// Whether the model that a state dict holds normalizes its input.
    pub fn normalizes(arrays: &Arrays) -> bool {
        arrays.contains_key(Self::MEAN)
    }

    pub fn is_normalized(&self) -> bool {
        self.normalization.is_some()
    }

    fn build(b: &mut Builder, architecture: Architecture, classes: usize, normalized: bool) -> Result<Self, Error> {
        let normalization = if normalized {
            Some(Normalization {
                mean: b.buffer(Model::MEAN.into(), [3], Init::Constant(0.0))?,
                std: b.buffer(Model::STD.into(), [3], Init::Constant(1.0))?,
            })
        } else {
            None
        };
        let network = match architecture {
            Architecture::WideResNet { depth, width } => {
                Network::WideResNet(wide_resnet::WideResNet::new(b, depth, width)?)
            }
            Architecture::ResNet18 { pre_activation, width } => {
                Network::ResNet(resnet::ResNet::new(b, width, pre_activation)?)
            }
        };
        let head = head::build(b, architecture, classes)?;
        Ok(Self { architecture, classes, normalization, network, head })
    }

    /// Pixels `[B, 3, 32, 32]` in [0,1], with or without a tangent, to latent `[B, L]` and logits `[B, C]`.
    pub fn forward(&self, x: impl Into<Dual<4>>, pass: &mut Pass) -> Output {
        let x = x.into();
        let x = match &self.normalization {
            Some(normalization) => normalization.forward(x),
            None => x,
        };
        let x = x.linear(kernel::maps);
        let latent = match &self.network {
            Network::WideResNet(network) => network.forward(x, pass),
            Network::ResNet(network) => network.forward(x, pass),
        };
        Output { logits: self.classify(latent.clone()), latent }
    }

    /// The last layer alone: the logits `[N, C]` of latents `[N, L]`.
    pub fn classify(&self, latent: impl Into<Dual<2>>) -> Dual<2> {
        self.head.forward(latent.into())
    }

    /// Every named tensor, in a fixed order.
    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        let mut slots: Vec<&mut dyn Slot> = Vec::new();
        if let Some(n) = &mut self.normalization {
            slots.push(&mut n.mean);
            slots.push(&mut n.std);
        }
        slots.extend(match &mut self.network {
            Network::WideResNet(network) => network.slots(),
            Network::ResNet(network) => network.slots(),
        });
        slots.extend(self.head.slots());
        slots
    }

    /// How many numbers it learns.
    pub fn parameters(&mut self) -> usize {
        let slots = self.slots();
        slots.iter().filter(|slot| slot.learned()).map(|slot| slot.shape().iter().product::<usize>()).sum()
    }

    /// A copy whose learned parameters, with `head_only` those of the last layer, are leaves of the autodiff graph.
    pub fn tracked(&self, head_only: bool) -> Self {
        let mut model = self.clone();
        let slots = if head_only { model.head.slots() } else { model.slots() };
        slots.into_iter().filter(|slot| slot.learned()).for_each(|slot| slot.track());
        model
    }

    /// A copy whose convolutions multiply in float16 and add in float32, where a GPU can.
    pub fn halved(&self) -> Self {
        let mut model = self.clone();
        model.slots().into_iter().for_each(|slot| slot.halve());
        model
    }

    /// A copy on a device.
    pub fn to_device(&self, device: &Device) -> Self {
        let mut model = self.clone();
        for slot in model.slots() {
            slot.set_flat(slot.flat().to_device(device));
        }
        model
    }

    /// Moves the running statistics towards those of one training pass.
    pub fn update_running(&mut self, pass: Pass) {
        let norms = match &mut self.network {
            Network::WideResNet(network) => network.batch_norms(),
            Network::ResNet(network) => network.batch_norms(),
        };
        for (norm, statistics) in norms.into_iter().zip(pass.statistics.into_iter().flatten()) {
            norm.update_running(statistics);
        }
    }

    /// Reads every tensor back from the device.
    pub async fn arrays(&self) -> Result<Arrays, ExecutionError> {
        let mut model = self.clone();
        let slots = model.slots();
        let keys: Vec<_> = slots.iter().map(|slot| (slot.name().to_owned(), slot.shape())).collect();
        let read = slots.iter().fold(Transaction::default(), |t, slot| t.register(slot.flat()));
        let data = read.execute_async().await?;
        let array = |shape, data: TensorData| Array { shape, values: data.iter::<f32>().collect() };
        Ok(keys.into_iter().zip(data).map(|((name, shape), data)| (name, array(shape, data))).collect())
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

impl Classifier for Model {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.forward(x, &mut Pass::inference()).logits.value
    }
}
