//! What networks are made of, and the CPU's own kernels for it.
//!
//! burn-flex convolves nearly on one thread and far below what its vectors can do, and takes a dozen passes for a batch
//! normalisation. On the CPU in float32 feature maps are channels last, `[B, H, W, C]`, convolution runs near the peak
//! rate of all cores, normalisation and ReLU are computed where a convolution reads them, and the backward pass computes
//! only the gradients that are asked for. On other devices and in float64 maps are `[B, C, H, W]` and burn's own
//! operations remain. Outside of this module the layout is seen through [`maps`] and [`pictures`] alone.

#[cfg(feature = "cpu")]
mod conv;
#[cfg(feature = "cpu")]
mod conv_op;
#[cfg(feature = "cpu")]
mod correlate;
#[cfg(feature = "cpu")]
mod descent_op;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod layout_op;
#[cfg(feature = "cpu")]
mod maps;
#[cfg(feature = "cpu")]
mod memory;
#[cfg(feature = "cpu")]
mod norm;
#[cfg(feature = "cpu")]
mod norm_op;
#[cfg(feature = "cpu")]
mod operands;
#[cfg(feature = "cpu")]
mod packed;
#[cfg(feature = "cpu")]
pub mod profile;
#[cfg(feature = "cpu")]
mod step_op;
#[cfg(feature = "cpu")]
mod weight_gradient;
#[cfg(feature = "cpu")]
mod window;
#[cfg(feature = "cpu")]
mod winograd;

#[cfg(feature = "cpu")]
use std::sync::Arc;

use burn::tensor::{Tensor, activation, module, ops::ConvOptions};

/// The weight of a convolution, `[out, in, k, k]`, k odd; one convolution's, which has one stride.
#[derive(Clone, Debug)]
pub struct Weight {
    tensor: Tensor<4>,
    /// The same numbers in other orders; shared by all copies, tracked or not.
    #[cfg(feature = "cpu")]
    packed: Arc<packed::Packed>,
}

impl Weight {
    pub fn new(tensor: Tensor<4>) -> Self {
        Self {
            tensor,
            #[cfg(feature = "cpu")]
            packed: Arc::default(),
        }
    }

    pub fn tensor(&self) -> &Tensor<4> {
        &self.tensor
    }

    /// The same as a leaf of the autodiff graph.
    pub fn tracked(&self) -> Self {
        Self { tensor: self.tensor.clone().inner().autodiff().require_grad(), ..self.clone() }
    }
}

/// Batch normalisation of some maps: gamma (x - mean) / sqrt(variance + epsilon) + beta, `[C]` each.
#[derive(Clone, Debug)]
pub struct Norm {
    pub gamma: Tensor<1>,
    pub beta: Tensor<1>,
    pub mean: Tensor<1>,
    pub variance: Tensor<1>,
    pub epsilon: f32,
    /// Whether mean and variance are those of the maps themselves, so that gradients go through them too.
    pub of_batch: bool,
}

impl Norm {
    /// 1 / sigma, `[C]`.
    pub fn inverse_sigma(&self) -> Tensor<1> {
        self.variance.clone().add_scalar(self.epsilon).sqrt().recip()
    }

    /// The same as one factor and one summand for each channel, `[C]` each.
    fn scale_and_shift(&self) -> [Tensor<1>; 2] {
        let scale = self.gamma.clone() * self.inverse_sigma();
        let shift = self.beta.clone() - self.mean.clone() * scale.clone();
        [scale, shift]
    }

    /// `x` normalised, and with `relu` its positive part.
    pub fn apply(&self, x: Tensor<4>, relu: bool) -> Tensor<4> {
        let [scale, shift] = self.scale_and_shift();
        affine(x, scale, shift, relu)
    }
}

/// The tangent of normalised maps, as factors `[C]` each: a t + b x + c.
#[derive(Clone, Debug)]
pub struct Tangent {
    pub t: Tensor<4>,
    pub a: Tensor<1>,
    pub b: Tensor<1>,
    pub c: Tensor<1>,
}

impl Tangent {
    pub fn apply(&self, x: &Tensor<4>) -> Tensor<4> {
        let [a, b, c] = [&self.a, &self.b, &self.c].map(|factor| per_channel(factor.clone(), x));
        self.t.clone() * a + x.clone() * b + c
    }
}

/// Whether maps like `x` are channels last.
#[cfg(feature = "cpu")]
fn channels_last(x: &Tensor<4>) -> bool {
    flex::supports(x)
}

#[cfg(not(feature = "cpu"))]
fn channels_last(_: &Tensor<4>) -> bool {
    false
}

/// Pictures `[B, C, H, W]` as maps.
pub fn maps(pictures: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if channels_last(&pictures) {
        return layout_op::channels_last(pictures);
    }
    pictures
}

/// Maps as `[B, C, H, W]`.
pub fn pictures(maps: Tensor<4>) -> Tensor<4> {
    if channels_last(&maps) { maps.permute([0, 3, 1, 2]) } else { maps }
}

/// Batch, channels, height and width of maps.
pub fn dims(maps: &Tensor<4>) -> [usize; 4] {
    let [b, x, y, z] = maps.dims();
    if channels_last(maps) { [b, z, x, y] } else { [b, x, y, z] }
}

/// Convolves maps, padding k/2; height and width become those over stride, rounded up.
/// `residual` is added.
pub fn conv2d(x: Tensor<4>, weight: &Weight, stride: usize, residual: Option<Tensor<4>>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        return conv_op::conv2d(x, weight, stride, residual);
    }
    let pad = weight.tensor.dims()[2] / 2;
    let y = module::conv2d(x, weight.tensor.clone(), None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1));
    match residual {
        Some(residual) => y + residual,
        None => y,
    }
}

/// [`conv2d`] of the positive part of normalised maps.
pub fn activated_conv2d(
    x: Tensor<4>,
    norm: &Norm,
    weight: &Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        return conv_op::activated_conv2d(x, norm, weight, stride, residual);
    }
    conv2d(norm.apply(x, true), weight, stride, residual)
}

/// The tangent of [`activated_conv2d`]; `residual` is that of the residual.
pub fn activated_conv2d_tangent(
    x: Tensor<4>,
    norm: &Norm,
    tangent: Tangent,
    weight: &Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        let gate = norm.scale_and_shift();
        return conv_op::activated_conv2d_tangent(x, gate, tangent, weight, stride, residual);
    }
    let passes = norm.apply(x.clone().detach(), false).detach().greater_scalar(0.0).float();
    conv2d(tangent.apply(&x) * passes, weight, stride, residual)
}

/// scale_c x + shift_c for each channel of maps, and with `relu` its positive part; scale, shift `[C]`.
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        return norm_op::affine(x, scale, shift, relu);
    }
    let y = x.clone() * per_channel(scale, &x) + per_channel(shift, &x);
    if relu { activation::relu(y) } else { y }
}

/// Mean and biased variance of each channel of maps, `[C]` each.
pub fn moments(x: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        return rows(norm_op::moments(x));
    }
    let mean = channel_mean(x.clone());
    let centred = x.clone() - per_channel(mean.clone(), &x);
    [mean, channel_mean(centred.square())]
}

/// [`moments`] for a [`Norm`] that [`activated_conv2d`] alone is given: on the CPU that sees to their gradients itself.
pub fn moments_for_conv2d(x: Tensor<4>) -> [Tensor<1>; 2] {
    moments(if channels_last(&x) { x.detach() } else { x })
}

/// The means over each channel of t and of x t, `[C]` each.
pub fn cross_moments(x: Tensor<4>, t: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if channels_last(&x) {
        return rows(norm_op::cross_moments(x, t));
    }
    [channel_mean(t.clone()), channel_mean(x * t)]
}

/// The mean over height and width of maps, `[B, C]`.
pub fn mean_pool(x: Tensor<4>) -> Tensor<2> {
    let [b, c, _, _] = dims(&x);
    let area = if channels_last(&x) { [1, 2] } else { [2, 3] };
    x.mean_dims(&area).reshape([b, c])
}

/// x + step sign(gradient), brought back into the L-inf ball of radius epsilon around `around` and into [0,1]; pictures
/// `[B, 3, H, W]` outside of autodiff.
pub fn sign_step(x: Tensor<4>, gradient: Tensor<4>, around: &Tensor<4>, epsilon: f32, step: f32) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if flex::supports(&x) {
        return step_op::sign_step(x, gradient, around.clone(), epsilon, step);
    }
    let ahead = x + gradient.sign().mul_scalar(step);
    let (low, high) = (around.clone().sub_scalar(epsilon), around.clone().add_scalar(epsilon));
    ahead.max_pair(low).min_pair(high).clamp(0.0, 1.0)
}

/// Gradient descent with momentum: v' = momentum v + (gradient + decay w), w' = w - rate v', `[n]` each and outside of
/// autodiff; gives w' and v'.
pub fn descend(
    weight: Tensor<1>,
    velocity: Tensor<1>,
    gradient: Tensor<1>,
    [rate, momentum, decay]: [f32; 3],
) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if flex::supports(&weight) {
        return descent_op::descend(weight, velocity, gradient, [rate, momentum, decay]);
    }
    let gradient = gradient + weight.clone().mul_scalar(decay);
    let velocity = velocity.mul_scalar(momentum) + gradient;
    [weight - velocity.clone().mul_scalar(rate), velocity]
}

fn channel_mean(x: Tensor<4>) -> Tensor<1> {
    let [_, c, _, _] = x.dims();
    x.mean_dims(&[0, 2, 3]).reshape([c])
}

/// A value per channel, broadcast over maps like `x`.
fn per_channel(values: Tensor<1>, x: &Tensor<4>) -> Tensor<4> {
    let [c] = values.dims();
    values.reshape(if channels_last(x) { [1, 1, 1, c] } else { [1, c, 1, 1] })
}

#[cfg(feature = "cpu")]
fn rows(both: Tensor<2>) -> [Tensor<1>; 2] {
    let [_, c] = both.dims();
    [0, 1].map(|row| both.clone().narrow(0, row, 1).reshape([c]))
}
