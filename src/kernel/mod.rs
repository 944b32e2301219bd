//! Operations that burn's CPU backend is slow at.
//!
//! burn-flex convolves nearly on one thread and far below what its vectors can do, and takes a dozen passes for a batch
//! normalisation. Here convolution runs close to the peak rate of all cores, normalisation and ReLU take one pass, and the
//! backward pass computes only the gradients that are asked for. On other devices and in float64 burn's own operations
//! remain.

#[cfg(feature = "cpu")]
mod conv;
#[cfg(feature = "cpu")]
mod conv_op;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod norm;
#[cfg(feature = "cpu")]
mod norm_op;

use burn::tensor::{Tensor, activation, module, ops::ConvOptions};

/// Convolves `[B, in, H, W]` with `[out, in, k, k]`, k odd, padding k/2 -> `[B, out, H/stride, W/stride]`, rounded up.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if flex::supports(&x) {
        return conv_op::conv2d(x, weight, stride);
    }
    let pad = weight.dims()[2] / 2;
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
}

/// scale_c x + shift_c for each channel of `[B, C, H, W]`, and with `relu` its positive part; scale, shift `[C]`.
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if flex::supports(&x) {
        return norm_op::affine(x, scale, shift, relu);
    }
    let y = x * per_channel(scale) + per_channel(shift);
    if relu { activation::relu(y) } else { y }
}

/// Mean and biased variance over batch, height and width of `[B, C, H, W]`, `[C]` each.
pub fn moments(x: Tensor<4>) -> [Tensor<1>; 2] {
    let [_, c, _, _] = x.dims();
    #[cfg(feature = "cpu")]
    if flex::supports(&x) {
        let both = norm_op::moments(x);
        return [0, 1].map(|row| both.clone().narrow(0, row, 1).reshape([c]));
    }
    let mean_of = |t: Tensor<4>| t.mean_dims(&[0, 2, 3]).reshape([c]);
    let mean = mean_of(x.clone());
    let variance = mean_of((x - per_channel(mean.clone())).square());
    [mean, variance]
}

/// A value per channel, broadcast over `[B, C, H, W]`.
pub fn per_channel(values: Tensor<1>) -> Tensor<4> {
    let [c] = values.dims();
    values.reshape([1, c, 1, 1])
}
