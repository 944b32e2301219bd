//! Forward-mode differentiation: values that carry their derivative along one direction of input space.
//!
//! burn differentiates once, in reverse. The Jacobian penalty needs the parameter gradient of an input gradient; with
//! the tangent `J u` carried beside the value, one reverse pass over both gives it exactly (see [`crate::loss::jacobian`]).

use burn::tensor::{Tensor, activation};

/// A value and, where one was asked for, its tangent of the same shape.
#[derive(Clone, Debug)]
pub struct Dual<const D: usize> {
    pub value: Tensor<D>,
    pub tangent: Option<Tensor<D>>,
}

impl<const D: usize> From<Tensor<D>> for Dual<D> {
    fn from(value: Tensor<D>) -> Self {
        Self { value, tangent: None }
    }
}

impl<const D: usize> Dual<D> {
    pub fn new(value: Tensor<D>, tangent: Tensor<D>) -> Self {
        Self { value, tangent: Some(tangent) }
    }

    /// Applies a linear map, which is its own derivative.
    pub fn linear<const E: usize>(self, map: impl Fn(Tensor<D>) -> Tensor<E>) -> Dual<E> {
        Dual { value: map(self.value), tangent: self.tangent.map(map) }
    }

    /// Adds a constant, broadcast; the tangent does not see it.
    pub fn shift(self, constant: Tensor<D>) -> Self {
        Self { value: self.value + constant, tangent: self.tangent }
    }

    /// `max(x, 0)`; the derivative at 0 is 0, as in PyTorch.
    pub fn relu(self) -> Self {
        let tangent = self.tangent.map(|t| t * self.value.clone().detach().greater_scalar(0.0).float());
        Self { value: activation::relu(self.value), tangent }
    }
}

impl<const D: usize> std::ops::Add for Dual<D> {
    type Output = Self;

    /// The sum of two duals of one pass: both have a tangent or neither has.
    fn add(self, other: Self) -> Self {
        let tangent = self.tangent.zip(other.tangent).map(|(a, b)| a + b);
        Self { value: self.value + other.value, tangent }
    }
}
