//! GPU kernels in WGSL, for float32.
//!
//! burn's convolution computes each output independently unless it is tuned at run time, which browsers do not support,
//! and its weight gradient uses only one thread per weight. These kernels use NHWC layout, as on the CPU, with tiles of
//! the feature maps in workgroup memory and sums in registers.

mod channels;
mod conv_op;
mod correlate;
mod norm_op;
mod shader;
mod weight_gradient;
mod weight_layouts;

use burn::{
    backend::DispatchDevice,
    tensor::{DType, Tensor},
};
use burn_cubecl::{
    CubeDevice,
    cubecl::ir::{ElemType, FloatKind},
};

pub use conv_op::conv2d;
pub use norm_op::{affine, cross_moments, gated_tangent, moments};
pub use weight_layouts::WeightLayouts;

/// Returns whether the GPU kernels support a tensor: float32 on a local GPU that runs WGSL.
pub fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Cube(CubeDevice::Wgpu(_)))
}

/// Returns whether the GPU kernels can multiply in float16 on the device of a tensor.
pub fn supports_f16<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().inner();
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return false };
    supports(x) && device.client().properties().supports_type(ElemType::Float(FloatKind::F16))
}

/// Dimensions of a convolution of `[B, height, width, in_channels]` to `[B, height', width', out_channels]`. The
/// numbers of channels are multiples of 4, and the padding is kernel_size / 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ConvGeometry {
    height: usize,
    width: usize,
    in_channels: usize,
    out_channels: usize,
    kernel_size: usize,
    stride: usize,
    /// Multiply in float16.
    f16: bool,
}

impl ConvGeometry {
    /// Returns height and width of the output.
    fn output(&self) -> [usize; 2] {
        [self.height, self.width].map(|size| size.div_ceil(self.stride))
    }
}

/// Returns the loss scale of float16 gradients (Micikevicius et al., 2018, sec. 3.2): gradients are multiplied by it
/// before they are rounded to float16, and divided by it in float32 afterwards. Without it, the small gradients of a
/// mean over the batch would underflow. Gradients of sums over the batch do not overflow up to values of 1,000.
fn loss_scale(geometry: ConvGeometry, batch: usize) -> usize {
    if geometry.f16 { batch.next_power_of_two().min(64) } else { 1 }
}

/// Returns the largest power of two that divides `n`, but at most `max`.
fn power_of_two_divisor(n: usize, max: usize) -> usize {
    (1 << n.trailing_zeros()).min(max)
}
