//! Memory layouts of a convolution's weight for the GPU kernels.

use std::sync::OnceLock;

use burn::{
    backend::{Cube, TensorMetadata, ops::FloatTensorOps},
    tensor::FloatDType,
};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

/// Cache of a weight's layouts, each made on first use: an attack uses the same weight at every step. Input and output
/// channels are padded with zeros to multiples of 4.
#[derive(Debug, Default)]
pub struct WeightLayouts {
    /// `[k, k, in, out]`
    forward: OnceLock<CubeTensor>,
    /// `[k, k, out, in]`
    input_gradient: OnceLock<CubeTensor>,
}

impl WeightLayouts {
    /// Returns `weight` `[out, in, k, k]` as `[k, k, in, out]`. Every call must pass the same weight.
    pub fn forward(&self, weight: &CubeTensor) -> CubeTensor {
        self.forward.get_or_init(|| permuted(weight, [2, 3, 1, 0])).clone()
    }

    /// Returns `weight` `[out, in, k, k]` as `[k, k, out, in]`. Every call must pass the same weight.
    pub fn input_gradient(&self, weight: &CubeTensor) -> CubeTensor {
        self.input_gradient.get_or_init(|| permuted(weight, [2, 3, 0, 1])).clone()
    }
}

fn permuted(weight: &CubeTensor, axes: [usize; 4]) -> CubeTensor {
    let weight = pad_to_multiple_of_4(pad_to_multiple_of_4(weight.clone(), 1), 0);
    into_contiguous(Cube::float_permute(weight, &axes))
}

/// Pads `tensor` with zeros along `dim` to a multiple of 4.
pub fn pad_to_multiple_of_4(tensor: CubeTensor, dim: usize) -> CubeTensor {
    let mut shape = tensor.shape();
    let missing = shape[dim].next_multiple_of(4) - shape[dim];
    if missing == 0 {
        return tensor;
    }
    shape[dim] = missing;
    let zeros = Cube::float_zeros(shape, &tensor.device, FloatDType::F32);
    Cube::float_cat(vec![tensor, zeros], dim)
}
