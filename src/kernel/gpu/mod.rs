//! The GPU's own convolution, in WGSL.
//!
//! burn's convolution computes each output by itself unless it is tuned at run time, which browsers do not offer, and its
//! weight gradient runs on no more threads than there are weights. Here maps are channels last as on the CPU, tiles of
//! them lie in workgroup memory, and sums in registers.

mod channels;
mod conv_op;
mod correlate;
mod norm_op;
mod ordered;
mod shader;
mod weight_gradient;

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
pub use ordered::Ordered;

/// Whether the kernels work on a tensor: on a GPU of this machine that takes WGSL.
pub fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Cube(CubeDevice::Wgpu(_)))
}

/// Whether the kernels can multiply in float16 where a tensor is.
pub fn has_half<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().inner();
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return false };
    supports(x) && device.client().properties().supports_type(ElemType::Float(FloatKind::F16))
}

/// What a convolution is of: `side` taps each way, padded by side / 2, maps `[B, height, width, channels]` to
/// `[B, height', width', filters]`, channels and filters multiples of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Geometry {
    height: usize,
    width: usize,
    channels: usize,
    filters: usize,
    side: usize,
    stride: usize,
    /// Multiply in float16.
    half: bool,
}

impl Geometry {
    /// Height and width of the output.
    fn output(&self) -> [usize; 2] {
        [self.height, self.width].map(|size| size.div_ceil(self.stride))
    }
}

/// What gradients are multiplied by before they are rounded to float16, so that those of means over a batch, which are small,
/// are not lost (Micikevicius et al., 2018, sec. 3.2); they are divided by it again in float32. Those of sums have room for it
/// up to 1,000.
fn loss_scale(geometry: Geometry, batch: usize) -> usize {
    if geometry.half { batch.next_power_of_two().min(64) } else { 1 }
}

/// The largest power of two that divides `n`, at most `most`.
fn power_of_two(n: usize, most: usize) -> usize {
    (1 << n.trailing_zeros()).min(most)
}
