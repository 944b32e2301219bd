//! Convolution of channels-last maps as an operation of burn's GPU backend.

use std::sync::Arc;

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
    tensor::Tensor,
};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use super::{
    Geometry, correlate, has_half,
    ordered::{Ordered, filled_up},
    weight_gradient::weight_gradient,
};

/// Maps `[B, H, W, C]` convolved with `weight` `[out, C, k, k]`, padding k/2.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, ordered: Arc<Ordered>, stride: usize, half: bool) -> Tensor<4> {
    let half = half && has_half(&x);
    Tensor::from_dispatch(Dispatch::convolve_on_gpu(x.into_dispatch(), weight.into_dispatch(), ordered, stride, half))
}

#[backend_extension(Cube, Autodiff)]
trait Convolve: Backend {
    fn convolve_on_gpu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        ordered: Arc<Ordered>,
        stride: usize,
        half: bool,
    ) -> FloatTensor<Self>;
}

impl Convolve for Cube {
    fn convolve_on_gpu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        ordered: Arc<Ordered>,
        stride: usize,
        half: bool,
    ) -> FloatTensor<Self> {
        Operands::new(x, weight, ordered, stride, half).forward()
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Cube, C> {
    fn convolve_on_gpu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        ordered: Arc<Ordered>,
        stride: usize,
        half: bool,
    ) -> FloatTensor<Self> {
        let operands = Operands::new(x.primitive().clone(), weight.primitive().clone(), ordered, stride, half);
        let output = operands.forward();
        match ConvolveBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(operands, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Contiguous maps, their channels filled up with zeros to a multiple of 4, and a weight `[filters, channels, k, k]`.
#[derive(Clone, Debug)]
struct Operands {
    x: CubeTensor,
    weight: CubeTensor,
    ordered: Arc<Ordered>,
    /// Channels and filters before they were filled up.
    channels: usize,
    filters: usize,
    geometry: Geometry,
}

impl Operands {
    fn new(x: CubeTensor, weight: CubeTensor, ordered: Arc<Ordered>, stride: usize, half: bool) -> Self {
        let [_, height, width, _] = x.shape().dims();
        let [filters, channels, side, _] = weight.shape().dims();
        let [all_channels, all_filters] = [channels, filters].map(|n| n.next_multiple_of(4));
        let geometry = Geometry { height, width, channels: all_channels, filters: all_filters, side, stride, half };
        Self { x: into_contiguous(filled_up(x, 3)), weight, ordered, channels, filters, geometry }
    }

    fn forward(&self) -> CubeTensor {
        let y = correlate::forward(self.geometry, self.x.clone(), self.ordered.forward(&self.weight));
        narrow(y, 3, self.filters)
    }

    fn input_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dx = correlate::input_gradient(self.geometry, gradient, self.ordered.gradient(&self.weight));
        narrow(dx, 3, self.channels)
    }

    fn weight_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dw = weight_gradient(self.geometry, self.x.clone(), gradient);
        let dw = narrow(Cube::float_permute(dw, &[3, 2, 0, 1]), 1, self.channels);
        narrow(dw, 0, self.filters)
    }
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
