//! Forward-mode differentiation with dual numbers: values with their derivative (tangent) along one direction of input
//! space.
//!
//! burn supports only one level of reverse-mode differentiation. The Jacobian penalty needs the parameter gradient of
//! an input gradient. With the tangent `J u` computed in the forward pass, one reverse pass gives it exactly (see
//! [`crate::loss::jacobian`]).

use burn::tensor::{Tensor, activation};

/// A dual number: a value and, if requested, its tangent of the same shape.
#[derive(Clone, Debug)]
pub struct Dual<const D: usize> {
    /// The value.
    pub value: Tensor<D>,
    /// Its derivative along the direction.
    pub tangent: Option<Tensor<D>>,
}

impl<const D: usize> From<Tensor<D>> for Dual<D> {
    fn from(value: Tensor<D>) -> Self {
        Self { value, tangent: None }
    }
}

impl<const D: usize> Dual<D> {
    /// Makes a value with a tangent of the same shape.
    pub fn new(value: Tensor<D>, tangent: Tensor<D>) -> Self {
        Self { value, tangent: Some(tangent) }
    }

    /// Applies a linear map to the value and to the tangent.
    pub fn linear<const E: usize>(self, map: impl Fn(Tensor<D>) -> Tensor<E>) -> Dual<E> {
        Dual { value: map(self.value), tangent: self.tangent.map(map) }
    }

    /// Adds a constant, with broadcasting; the tangent does not change.
    pub fn shift(self, constant: Tensor<D>) -> Self {
        Self { value: self.value + constant, tangent: self.tangent }
    }

    /// Applies ReLU; its derivative at 0 is 0, as in PyTorch.
    pub fn relu(self) -> Self {
        let tangent = self.tangent.map(|t| t * self.value.clone().detach().greater_scalar(0.0).float());
        Self { value: activation::relu(self.value), tangent }
    }
}

impl<const D: usize> std::ops::Add for Dual<D> {
    type Output = Self;

    /// Adds two duals of the same forward pass: both have a tangent, or neither has one.
    fn add(self, other: Self) -> Self {
        let tangent = self.tangent.zip(other.tangent).map(|(a, b)| a + b);
        Self { value: self.value + other.value, tangent }
    }
}
