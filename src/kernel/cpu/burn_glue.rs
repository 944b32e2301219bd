//! Conversions between tensors of burn's CPU backend and slices.

use burn::{
    backend::{Flex, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::{DType, Device, Tensor, TensorData},
};

/// Returns whether the CPU kernels support `x`: a float32 tensor on the CPU.
pub fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// Returns the tensor in row-major order; copies it only if needed.
pub fn contiguous(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// Returns the values of a contiguous float32 tensor.
///
/// # Panics
/// If the tensor is not contiguous or not float32.
pub fn floats(tensor: &FloatTensor<Flex>) -> &[f32] {
    tensor.as_slice().expect("a contiguous f32 tensor")
}

/// Makes a tensor of row-major values.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}

/// Returns the shape of a tensor of rank 4.
pub fn dims(tensor: &FloatTensor<Flex>) -> [usize; 4] {
    tensor.layout().shape().dims()
}
