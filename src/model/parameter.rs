//! Named tensors: what a model learns (parameters) and what it keeps (buffers), and where their values come from.

use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::Error;
use crate::random::{self, Stream};

/// A float array on the host: shape and row-major values.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Arrays by their PyTorch state-dict names.
pub type Arrays = BTreeMap<String, Array>;

/// A tensor of a model under its state-dict name.
#[derive(Clone, Debug)]
pub struct Parameter<const D: usize> {
    pub name: String,
    pub tensor: Tensor<D>,
    /// Learnt by gradient descent; false for buffers (running statistics, normalization).
    pub learned: bool,
}

/// A [`Parameter`] of any rank. Values pass through as flat `[n]` tensors.
pub trait Slot {
    fn name(&self) -> &str;
    fn learned(&self) -> bool;
    fn shape(&self) -> Vec<usize>;
    /// The values, `[n]`, outside autodiff.
    fn flat(&self) -> Tensor<1>;
    fn set_flat(&mut self, values: Tensor<1>);
    /// Multiplies by it in float16 from now on, where that is offered: in convolutions on some GPUs.
    fn halve(&mut self) {}
    /// Makes the tensor a leaf of the autodiff graph whose gradient is kept.
    fn track(&mut self);
    /// The gradient `[n]` of a tracked tensor; none if the loss does not depend on it.
    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>>;
}

impl<const D: usize> Slot for Parameter<D> {
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

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    Constant(f32),
    /// N(0, std^2).
    Normal(f32),
    /// U(-bound, bound).
    Uniform(f32),
}

impl Init {
    /// `n` values.
    pub fn draw(self, rng: &mut Stream, n: usize) -> Vec<f32> {
        match self {
            Self::Constant(c) => vec![c; n],
            Self::Normal(std) => random::normal(rng, n).into_iter().map(|v| v * std).collect(),
            Self::Uniform(bound) => random::uniform(rng, n, -bound, bound),
        }
    }
}

/// Hands out a model's parameters while it is being built, either freshly drawn or looked up in a file's arrays.
pub struct Builder<'a> {
    device: &'a Device,
    source: Source<'a>,
}

enum Source<'a> {
    Random(Box<Stream>),
    Named(&'a Arrays),
}

impl<'a> Builder<'a> {
    pub fn random(seed: u64, device: &'a Device) -> Self {
        let rng = random::stream(seed, random::StreamId::Weights, 0);
        Self { device, source: Source::Random(Box::new(rng)) }
    }

    pub fn named(arrays: &'a Arrays, device: &'a Device) -> Self {
        Self { device, source: Source::Named(arrays) }
    }

    /// The parameter `name`. Fails if a file lacks it, or holds it in another shape or with values that are not finite.
    pub fn parameter<const D: usize>(
        &mut self,
        name: String,
        shape: [usize; D],
        init: Init,
    ) -> Result<Parameter<D>, Error> {
        Ok(Parameter { tensor: self.tensor(&name, shape, init)?, name, learned: true })
    }

    /// As [`Builder::parameter`], for what is kept but not learned.
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
