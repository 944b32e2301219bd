//! A convolution's weight in the orders in which the kernels read it.

use std::sync::OnceLock;

use burn::{
    backend::{Cube, TensorMetadata, ops::FloatTensorOps},
    tensor::FloatDType,
};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

/// Both orders, once they were needed: an attack reads the same weights at every step. Channels and filters are filled up
/// with zeros to multiples of 4.
#[derive(Debug, Default)]
pub struct Ordered {
    /// `[k, k, channels, filters]`
    forward: OnceLock<CubeTensor>,
    /// `[k, k, filters, channels]`
    gradient: OnceLock<CubeTensor>,
}

impl Ordered {
    /// Of `weight` `[filters, channels, k, k]`, always the same.
    pub fn forward(&self, weight: &CubeTensor) -> CubeTensor {
        self.forward.get_or_init(|| ordered(weight, [2, 3, 1, 0])).clone()
    }

    pub fn gradient(&self, weight: &CubeTensor) -> CubeTensor {
        self.gradient.get_or_init(|| ordered(weight, [2, 3, 0, 1])).clone()
    }
}

fn ordered(weight: &CubeTensor, axes: [usize; 4]) -> CubeTensor {
    let weight = filled_up(filled_up(weight.clone(), 1), 0);
    into_contiguous(Cube::float_permute(weight, &axes))
}

/// With zeros along `dim` up to a multiple of 4.
pub fn filled_up(tensor: CubeTensor, dim: usize) -> CubeTensor {
    let mut shape = tensor.shape();
    let missing = shape[dim].next_multiple_of(4) - shape[dim];
    if missing == 0 {
        return tensor;
    }
    shape[dim] = missing;
    let zeros = Cube::float_zeros(shape, &tensor.device, FloatDType::F32);
    Cube::float_cat(vec![tensor, zeros], dim)
}
