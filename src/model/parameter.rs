//! Named tensors of a model: learned parameters and buffers, and the sources of their values.

use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::Error;
use crate::random::{self, Stream};

/// A float array on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// A PyTorch state dict: arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// A tensor of a model with its state-dict name.
#[derive(Clone, Debug)]
pub struct Parameter<const D: usize> {
    /// Name in the state dict.
    pub name: String,
    /// Values.
    pub tensor: Tensor<D>,
    /// Whether SGD updates it; false for buffers (running statistics, input normalization).
    pub learned: bool,
}

/// A [`Parameter`] of any rank. Values are read and written as flat tensors `[n]`.
pub trait NamedTensor {
    /// Returns the name in the state dict.
    fn name(&self) -> &str;
    /// Returns whether SGD updates it; false for buffers.
    fn learned(&self) -> bool;
    /// Returns the shape in the state dict.
    fn shape(&self) -> Vec<usize>;
    /// Returns the values, `[n]`, outside of autodiff.
    fn flat(&self) -> Tensor<1>;
    /// Replaces the values, `[n]`.
    fn set_flat(&mut self, values: Tensor<1>);
    /// Uses the tensor in float16 from now on, if that is supported: for weights of convolutions on some GPUs.
    fn use_f16(&mut self) {}
    /// Makes the tensor a leaf of the autodiff graph.
    fn track(&mut self);
    /// Returns the gradient `[n]` of a tracked tensor, or `None` if the loss does not depend on it.
    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>>;
}

impl<const D: usize> NamedTensor for Parameter<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn learned(&self) -> bool {
        self.learned
    }

    fn shape(&self) -> Vec<usize> {
        self.tensor.dims().to_vec()
    }

    fn flat(&self) -> Tensor<1> {
        self.tensor.clone().inner().reshape([-1])
    }

    fn set_flat(&mut self, values: Tensor<1>) {
        self.tensor = values.reshape(self.tensor.dims());
    }

    fn track(&mut self) {
        self.tensor = self.tensor.clone().inner().autodiff().require_grad();
    }

    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        let gradient = self.tensor.grad_remove(gradients)?;
        Some(gradient.reshape([-1]))
    }
}

/// Distribution of the initial values of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// All values are equal.
    Constant(f32),
    /// N(0, std^2).
    Normal(f32),
    /// U(-bound, bound).
    Uniform(f32),
}

impl Init {
    /// Draws `n` values.
    pub fn draw(self, rng: &mut Stream, n: usize) -> Vec<f32> {
        match self {
            Self::Constant(c) => vec![c; n],
            Self::Normal(std) => random::normal(rng, n).into_iter().map(|v| v * std).collect(),
            Self::Uniform(bound) => random::uniform(rng, n, -bound, bound),
        }
    }
}

/// Source of a model's parameters: random initialization or a state dict.
pub struct Builder<'a> {
    device: &'a Device,
    source: Source<'a>,
}

enum Source<'a> {
    Random(Box<Stream>),
    Named(&'a Arrays),
}

impl<'a> Builder<'a> {
    /// Makes a builder that draws initial values.
    pub fn random(seed: u64, device: &'a Device) -> Self {
        let rng = random::stream(seed, random::StreamId::Weights, 0);
        Self { device, source: Source::Random(Box::new(rng)) }
    }

    /// Makes a builder that reads a state dict.
    pub fn named(arrays: &'a Arrays, device: &'a Device) -> Self {
        Self { device, source: Source::Named(arrays) }
    }

    /// Makes the parameter `name`.
    ///
    /// # Errors
    /// If the state dict has no such array, or its shape differs, or a value is not finite.
    pub fn parameter<const D: usize>(
        &mut self,
        name: String,
        shape: [usize; D],
        init: Init,
    ) -> Result<Parameter<D>, Error> {
        Ok(Parameter { tensor: self.tensor(&name, shape, init)?, name, learned: true })
    }

    /// Makes the buffer `name`, which is not learned.
    ///
    /// # Errors
    /// As [`Builder::parameter`].
    pub fn buffer<const D: usize>(
        &mut self,
        name: String,
        shape: [usize; D],
        init: Init,
    ) -> Result<Parameter<D>, Error> {
        Ok(Parameter { tensor: self.tensor(&name, shape, init)?, name, learned: false })
    }

    fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D], init: Init) -> Result<Tensor<D>, Error> {
        let n = shape.iter().product();
        let values = match &mut self.source {
            Source::Random(rng) => init.draw(rng, n),
            Source::Named(arrays) => {
                let array = arrays.get(name).ok_or_else(|| Error::Missing(name.into()))?;
                if array.shape != shape {
                    return Err(Error::Shape {
                        name: name.into(),
                        expected: shape.to_vec(),
                        found: array.shape.clone(),
                    });
                }
                if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
                    return Err(Error::NotFinite { name: name.into(), at, value: array.values[at] });
                }
                array.values.clone()
            }
        };
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}
