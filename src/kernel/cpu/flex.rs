//! Between burn's CPU tensors and slices.

use burn::{
    backend::{Flex, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::{DType, Device, Tensor, TensorData},
};

/// Whether `x` is where and what the kernels work on.
pub fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// The same tensor, copied if it is a view that is not in order.
pub fn contiguous(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

pub fn floats(tensor: &FloatTensor<Flex>) -> &[f32] {
    tensor.as_slice().expect("contiguous f32")
}

pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}

pub fn dims(tensor: &FloatTensor<Flex>) -> [usize; 4] {
    tensor.layout().shape().dims()
}
