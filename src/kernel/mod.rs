//! Operations that burn's CPU backend is slow at.
//!
//! burn-flex convolves nearly on one thread and far below what its vectors can do. Here it runs close to the peak rate
//! of all cores, and the backward pass computes only the gradients that are asked for. On other devices and in float64
//! burn's own convolution remains.

#[cfg(feature = "cpu")]
mod conv;
#[cfg(feature = "cpu")]
mod op;

use burn::tensor::{Tensor, module, ops::ConvOptions};

/// Convolves `[B, in, H, W]` with `[out, in, k, k]`, k odd, padding k/2 -> `[B, out, H/stride, W/stride]`, rounded up.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if op::supports(&x) {
        return op::conv2d(x, weight, stride);
    }
    let pad = weight.dims()[2] / 2;
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
}
