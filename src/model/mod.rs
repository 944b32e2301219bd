//! Classifiers of 3x32x32 images with pixels in [0,1]. Input normalization, if any, is part of the model.
//!
//! Every layer takes a [`Dual`]: a value with an optional tangent. So the forward pass and its tangent share one
//! implementation. Names and shapes of parameters are those of PyTorch. The mode of batch normalization is an argument
//! of the forward pass, not a state of the model.

mod architecture;
pub mod cost;
pub mod dual;
pub mod head;
mod layers;
pub mod names;
pub mod parameter;
mod pass;
mod resnet;
mod wide_resnet;

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};

pub use architecture::Architecture;
use dual::Dual;
pub use layers::BatchStatistics;
use layers::Linear;
use parameter::{Array, Arrays, Builder, Init, NamedTensor, Parameter};
pub use pass::{Mode, Pass};

use crate::kernel;

/// A classifier that can be attacked. Attacks that use gradients need operations that burn can differentiate.
pub trait Classifier {
    /// Returns the logits `[B, C]` of pixels `[B, 3, H, W]` in [0,1]. The logits of an image must not depend on the
    /// other images.
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
}

/// Invalid name or file of a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is not an architecture.
    #[error(
        "unknown model '{0}': expected wrn-D-W with D = 10, 16, 22, 28, 34, ... (wrn-28-10), resnet-18 or preact-resnet-18"
    )]
    Name(String),
    /// The file is not a supported network.
    #[error(
        "the file contains no supported network: neither a WideResNet (block1.layer.0.conv1.weight) nor a ResNet-18 (layer1.0.conv1.weight)"
    )]
    UnknownArchitecture,
    /// A tensor is missing.
    #[error("the file has no tensor '{0}': it is incomplete or contains another network")]
    Missing(String),
    /// A tensor does not belong to the network.
    #[error("the file has a tensor '{0}' that a {1} does not have: it contains another network")]
    Unexpected(String, Architecture),
    /// A tensor has a wrong shape.
    #[error("tensor '{name}' has shape {found:?}, but the network needs {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape that the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A value is infinite or NaN.
    #[error("tensor '{name}' contains {value} at position {at}: the training diverged, or the file is damaged")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Index of the value.
        at: usize,
        /// The value.
        value: f32,
    },
}

/// Input normalization `(x - mean) / std` per channel; stored in files as `normalize.mean` and `normalize.std`.
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

/// A network without its last layer.
#[derive(Clone, Debug)]
enum Network {
    WideResNet(wide_resnet::WideResNet),
    ResNet(resnet::ResNet),
}

/// A classifier with its weights on a device. Cloning shares the tensors, which are immutable.
#[derive(Clone, Debug)]
pub struct Model {
    /// Architecture.
    pub architecture: Architecture,
    /// Number of classes.
    pub classes: usize,
    normalization: Option<Normalization>,
    network: Network,
    head: Linear,
}

/// Result of a forward pass.
pub struct Output {
    /// Latent representation: the input of the last layer, `[B, L]`.
    pub latent: Dual<2>,
    /// Logits, `[B, C]`.
    pub logits: Dual<2>,
}

impl Model {
    /// State-dict name of the mean of the input normalization.
    pub const MEAN: &str = "normalize.mean";
    /// State-dict name of the standard deviation of the input normalization.
    pub const STD: &str = "normalize.std";

    /// Makes a model with random weights, initialized as in the reference code. `normalization` is mean and standard
    /// deviation of each channel.
    ///
    /// # Errors
    /// Does not fail at present; [`Model::from_arrays`] shares its error type.
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

    /// Makes the model of a state dict. The architecture is inferred from names and shapes.
    ///
    /// # Errors
    /// If the network is not supported, or a tensor is missing, unexpected, of the wrong shape or not finite.
    pub fn from_arrays(arrays: &Arrays, device: &Device) -> Result<Self, Error> {
        let (architecture, classes) = Architecture::infer(arrays)?;
        let normalized = Self::has_normalization(arrays);
        let mut model = Self::build(&mut Builder::named(arrays, device), architecture, classes, normalized)?;
        let known: std::collections::BTreeSet<_> =
            model.named_tensors().iter().map(|tensor| tensor.name().to_owned()).collect();
        let unexpected = |name: &&String| !known.contains(*name) && !name.ends_with(".num_batches_tracked");
        match arrays.keys().find(unexpected) {
            Some(name) => Err(Error::Unexpected(name.clone(), architecture)),
            None => Ok(model),
        }
    }

    /// Returns whether the model of a state dict normalizes its input.
    pub fn has_normalization(arrays: &Arrays) -> bool {
        arrays.contains_key(Self::MEAN)
    }

    /// Returns whether the model normalizes its input.
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

    /// Computes latent representation `[B, L]` and logits `[B, C]` of pixels `[B, 3, 32, 32]` in [0,1], with their
    /// tangents if `x` has one.
    pub fn forward(&self, x: impl Into<Dual<4>>, pass: &mut Pass) -> Output {
        let x = x.into();
        let x = match &self.normalization {
            Some(normalization) => normalization.forward(x),
            None => x,
        };
        let x = x.linear(kernel::images_to_maps);
        let latent = match &self.network {
            Network::WideResNet(network) => network.forward(x, pass),
            Network::ResNet(network) => network.forward(x, pass),
        };
        Output { logits: self.classify(latent.clone()), latent }
    }

    /// Applies the last layer only: returns the logits `[N, C]` of latents `[N, L]`.
    pub fn classify(&self, latent: impl Into<Dual<2>>) -> Dual<2> {
        self.head.forward(latent.into())
    }

    /// Returns all tensors in the order of the state dict.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        let mut tensors: Vec<&mut dyn NamedTensor> = Vec::new();
        if let Some(normalization) = &mut self.normalization {
            tensors.push(&mut normalization.mean);
            tensors.push(&mut normalization.std);
        }
        tensors.extend(match &mut self.network {
            Network::WideResNet(network) => network.named_tensors(),
            Network::ResNet(network) => network.named_tensors(),
        });
        tensors.extend(self.head.named_tensors());
        tensors
    }

    /// Returns the number of learned parameters.
    pub fn parameters(&mut self) -> usize {
        let tensors = self.named_tensors();
        tensors.iter().filter(|tensor| tensor.learned()).map(|tensor| tensor.shape().iter().product::<usize>()).sum()
    }

    /// Returns a copy whose learned parameters are leaves of the autodiff graph; with `head_only`, only those of the
    /// last layer.
    pub fn tracked(&self, head_only: bool) -> Self {
        let mut model = self.clone();
        let tensors = if head_only { model.head.named_tensors() } else { model.named_tensors() };
        for tensor in tensors.into_iter().filter(|tensor| tensor.learned()) {
            tensor.track();
        }
        model
    }

    /// Returns a copy whose convolutions multiply in float16 and accumulate in float32, if the GPU supports it.
    pub fn with_f16_convs(&self) -> Self {
        let mut model = self.clone();
        for tensor in model.named_tensors() {
            tensor.use_f16();
        }
        model
    }

    /// Returns a copy on a device.
    pub fn to_device(&self, device: &Device) -> Self {
        let mut model = self.clone();
        for tensor in model.named_tensors() {
            tensor.set_flat(tensor.flat().to_device(device));
        }
        model
    }

    /// Moves the running statistics towards the batch statistics of a training pass.
    pub fn update_running(&mut self, pass: Pass) {
        let norms = match &mut self.network {
            Network::WideResNet(network) => network.batch_norms(),
            Network::ResNet(network) => network.batch_norms(),
        };
        for (norm, statistics) in norms.into_iter().zip(pass.statistics.into_iter().flatten()) {
            norm.update_running(statistics);
        }
    }

    /// Reads the state dict from the device.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn arrays(&self) -> Result<Arrays, ExecutionError> {
        let mut model = self.clone();
        let tensors = model.named_tensors();
        let keys: Vec<_> = tensors.iter().map(|tensor| (tensor.name().to_owned(), tensor.shape())).collect();
        let read = tensors.iter().fold(Transaction::default(), |read, tensor| read.register(tensor.flat()));
        let data = read.execute_async().await?;
        let array = |shape, data: TensorData| Array { shape, values: data.iter::<f32>().collect() };
        Ok(keys.into_iter().zip(data).map(|((name, shape), data)| (name, array(shape, data))).collect())
    }
}

impl Classifier for Model {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.forward(x, &mut Pass::inference()).logits.value
    }
}
