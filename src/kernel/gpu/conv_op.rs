//! Convolution of channels-last maps as an operation of burn's GPU backend.

use burn::{
    backend::{
        Autodiff, Backend, Cube, Dispatch, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::{FloatDType, Tensor},
};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use super::{Geometry, correlate, weight_gradient::weight_gradient};

/// Maps `[B, H, W, C]` convolved with `weight` `[out, C, k, k]`, padding k/2.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::convolve_on_gpu(x.into_dispatch(), weight.into_dispatch(), stride))
}

#[backend_extension(Cube, Autodiff)]
trait Convolve: Backend {
    fn convolve_on_gpu(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;
}

impl Convolve for Cube {
    fn convolve_on_gpu(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        Operands::new(x, weight, stride).forward()
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Cube, C> {
    fn convolve_on_gpu(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        let operands = Operands::new(x.primitive().clone(), weight.primitive().clone(), stride);
        let output = operands.forward();
        match ConvolveBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(operands, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Contiguous maps and a weight `[out, C, k, k]`, both sides' channels filled up with zeros to multiples of 4.
#[derive(Clone, Debug)]
struct Operands {
    x: CubeTensor,
    weight: CubeTensor,
    /// Channels and filters before they were filled up.
    channels: usize,
    filters: usize,
    geometry: Geometry,
}

impl Operands {
    fn new(x: CubeTensor, weight: CubeTensor, stride: usize) -> Self {
        let [_, height, width, channels] = x.shape().dims();
        let [filters, _, side, _] = weight.shape().dims();
        let (x, weight) = (into_contiguous(filled_up(x, 3)), filled_up(filled_up(weight, 1), 0));
        let [all_filters, all_channels, ..] = weight.shape().dims::<4>();
        let geometry = Geometry { height, width, channels: all_channels, filters: all_filters, side, stride };
        Self { x, weight, channels, filters, geometry }
    }

    fn forward(&self) -> CubeTensor {
        let y = correlate::forward(self.geometry, self.x.clone(), self.weight_as([2, 3, 1, 0]));
        narrow(y, 3, self.filters)
    }

    fn input_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dx = correlate::input_gradient(self.geometry, gradient, self.weight_as([2, 3, 0, 1]));
        narrow(dx, 3, self.channels)
    }

    fn weight_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dw = weight_gradient(self.geometry, self.x.clone(), gradient);
        let dw = narrow(Cube::float_permute(dw, &[3, 2, 0, 1]), 1, self.channels);
        narrow(dw, 0, self.filters)
    }

    fn weight_as(&self, axes: [usize; 4]) -> CubeTensor {
        into_contiguous(Cube::float_permute(self.weight.clone(), &axes))
    }
}

/// With zeros along `dim` up to a multiple of 4.
fn filled_up(tensor: CubeTensor, dim: usize) -> CubeTensor {
    let mut shape = tensor.shape();
    let missing = shape[dim].next_multiple_of(4) - shape[dim];
    if missing == 0 {
        return tensor;
    }
    shape[dim] = missing;
    let zeros = Cube::float_zeros(shape, &tensor.device, FloatDType::F32);
    Cube::float_cat(vec![tensor, zeros], dim)
}

/// The first `length` along `dim`.
fn narrow(tensor: CubeTensor, dim: usize, length: usize) -> CubeTensor {
    if tensor.shape()[dim] == length {
        return tensor;
    }
    let slices = (0..4).map(|d| (0..if d == dim { length } else { tensor.shape()[d] }).into()).collect::<Vec<_>>();
    Cube::float_slice(tensor, &slices)
}

#[derive(Debug)]
struct ConvolveBackward;

impl Backward<Cube, 2> for ConvolveBackward {
    type State = Operands;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = into_contiguous(filled_up(grads.consume::<Cube>(&ops.node), 3));
        let operands = ops.state;
        let [x, weight] = ops.parents;
        if let Some(node) = x {
            grads.register::<Cube>(node.id, operands.input_gradient(gradient.clone()));
        }
        if let Some(node) = weight {
            grads.register::<Cube>(node.id, operands.weight_gradient(gradient));
        }
    }
}
