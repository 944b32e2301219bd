//! Convolution of NHWC feature maps as an operation of burn's GPU backend, with its backward pass.

use std::sync::Arc;

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

use crate::kernel::{self, prelude::*};

use super::{
    ConvGeometry, correlate, supports_f16,
    weight_gradient::weight_gradient,
    weight_layouts::{WeightLayouts, pad_to_multiple_of_4},
};

/// Convolves feature maps `[B, H, W, C]` with `weight` `[out, C, k, k]`, padding k/2.
pub fn conv2d(x: Tensor<4>, weight: &kernel::Weight, stride: usize) -> Tensor<4> {
    let f16 = weight.f16 && supports_f16(&x);
    let layouts = weight.gpu_layouts.clone();
    let filter = GpuFilter { weight: weight.tensor.clone().into_dispatch(), layouts, stride, f16 };
    Tensor::from_dispatch(Dispatch::convolve_on_gpu(x.into_dispatch(), filter))
}

/// Weight of a convolution, `[out, C, k, k]`, and the arguments that go with it.
#[derive(ExtensionType)]
pub struct GpuFilter<B: Backend> {
    weight: FloatTensor<B>,
    layouts: Arc<WeightLayouts>,
    stride: usize,
    f16: bool,
}

#[backend_extension(Cube, Autodiff)]
trait Convolve: Backend {
    fn convolve_on_gpu(x: FloatTensor<Self>, #[extension_type] filter: GpuFilter<Self>) -> FloatTensor<Self>;
}

impl Convolve for Cube {
    fn convolve_on_gpu(x: FloatTensor<Self>, filter: GpuFilter<Self>) -> FloatTensor<Self> {
        ConvOperands::new(x, filter).forward()
    }
}

impl<C: CheckpointStrategy> Convolve for Autodiff<Cube, C> {
    fn convolve_on_gpu(x: FloatTensor<Self>, filter: GpuFilter<Self>) -> FloatTensor<Self> {
        let GpuFilter { weight, layouts, stride, f16 } = filter;
        let filter = GpuFilter { weight: weight.primitive().clone(), layouts, stride, f16 };
        let operands = ConvOperands::new(x.primitive().clone(), filter);
        let output = operands.forward();
        match ConvolveBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(operands, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Operands of a convolution, stored for the backward pass.
#[derive(Clone, Debug)]
struct ConvOperands {
    /// Contiguous, with channels padded to a multiple of 4.
    x: CubeTensor,
    /// `[out, in, k, k]`.
    weight: CubeTensor,
    layouts: Arc<WeightLayouts>,
    /// Input channels without padding.
    in_channels: usize,
    /// Output channels without padding.
    out_channels: usize,
    geometry: ConvGeometry,
}

impl ConvOperands {
    fn new(x: CubeTensor, filter: GpuFilter<Cube>) -> Self {
        let GpuFilter { weight, layouts, stride, f16 } = filter;
        let [_, height, width, _] = x.shape().dims();
        let [out_channels, in_channels, kernel_size, _] = weight.shape().dims();
        let geometry = ConvGeometry {
            height,
            width,
            in_channels: in_channels.next_multiple_of(4),
            out_channels: out_channels.next_multiple_of(4),
            kernel_size,
            stride,
            f16,
        };
        Self { x: into_contiguous(pad_to_multiple_of_4(x, 3)), weight, layouts, in_channels, out_channels, geometry }
    }

    fn forward(&self) -> CubeTensor {
        let y = correlate::forward(self.geometry, self.x.clone(), self.layouts.forward(&self.weight));
        narrow(y, 3, self.out_channels)
    }

    fn input_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dx = correlate::input_gradient(self.geometry, gradient, self.layouts.input_gradient(&self.weight));
        narrow(dx, 3, self.in_channels)
    }

    fn weight_gradient(&self, gradient: CubeTensor) -> CubeTensor {
        let dw = weight_gradient(self.geometry, self.x.clone(), gradient);
        let dw = narrow(Cube::float_permute(dw, &[3, 2, 0, 1]), 1, self.in_channels);
        narrow(dw, 0, self.out_channels)
    }
}

/// Returns the first `length` entries along `dim` of a tensor of rank 4.
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
    type State = ConvOperands;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = into_contiguous(pad_to_multiple_of_4(grads.consume::<Cube>(&ops.node), 3));
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
