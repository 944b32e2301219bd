//! What networks are made of, and kernels of our own for it: [`cpu`], [`gpu`].
//!
//! In float32 feature maps are channels last, `[B, H, W, C]`; in float64 and on another host's device they are `[B, C, H, W]`
//! and burn's own operations remain. Outside of this module the layout is seen through [`maps`] and [`images`] alone.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use std::sync::{Arc, OnceLock};

#[cfg(feature = "cpu")]
pub use cpu::profile;

use burn::tensor::{Device, Tensor, activation, module, ops::ConvOptions};

/// The weight of a convolution, `[out, in, k, k]`, k odd; one convolution's, which has one stride.
#[derive(Clone, Debug)]
pub struct Weight {
    tensor: Tensor<4>,
    /// Multiply in float16 and add in float32, where a GPU can.
    half: bool,
    /// The same numbers in other orders; shared by all copies, tracked or not.
    #[cfg(feature = "cpu")]
    packed: Arc<cpu::Packed>,
    #[cfg(feature = "gpu")]
    ordered: Arc<gpu::Ordered>,
}

impl Weight {
    pub fn new(tensor: Tensor<4>) -> Self {
        Self {
            tensor,
            half: false,
            #[cfg(feature = "cpu")]
            packed: Arc::default(),
            #[cfg(feature = "gpu")]
            ordered: Arc::default(),
        }
    }

    pub fn tensor(&self) -> &Tensor<4> {
        &self.tensor
    }

    /// Other values, used in the same way.
    pub fn with(&self, tensor: Tensor<4>) -> Self {
        Self { half: self.half, ..Self::new(tensor) }
    }

    /// The same, to be multiplied in float16 and added in float32 where a GPU can.
    pub fn half(&self) -> Self {
        Self { half: true, ..self.clone() }
    }

    /// The same as a leaf of the autodiff graph.
    pub fn tracked(&self) -> Self {
        Self { tensor: self.tensor.clone().inner().autodiff().require_grad(), ..self.clone() }
    }
}

/// Batch normalization of some maps: gamma (x - mean) / sqrt(variance + epsilon) + beta, `[C]` each.
#[derive(Clone, Debug)]
pub struct Norm {
    pub gamma: Tensor<1>,
    pub beta: Tensor<1>,
    pub mean: Tensor<1>,
    pub variance: Tensor<1>,
    pub epsilon: f32,
    /// Whether mean and variance are those of the maps themselves, so that gradients go through them too.
    pub of_batch: bool,
    pub folded: Folded,
}

/// A [`Norm`] as one factor and one summand for each channel, once they were needed. Who normalizes the same way again, as an
/// attack does at every step, hands it on.
pub type Folded = Arc<OnceLock<[Tensor<1>; 2]>>;

impl Norm {
    /// 1 / sigma, `[C]`.
    pub fn inverse_sigma(&self) -> Tensor<1> {
        self.variance.clone().add_scalar(self.epsilon).sqrt().recip()
    }

    /// The same as one factor and one summand for each channel, `[C]` each.
    pub fn scale_and_shift(&self) -> [Tensor<1>; 2] {
        let fold = || {
            let scale = self.gamma.clone() * self.inverse_sigma();
            let shift = self.beta.clone() - self.mean.clone() * scale.clone();
            [scale, shift]
        };
        self.folded.get_or_init(fold).clone()
    }

    /// `x` normalized, and with `relu` its positive part.
    pub fn apply(&self, x: Tensor<4>, relu: bool) -> Tensor<4> {
        let [scale, shift] = self.scale_and_shift();
        affine(x, scale, shift, relu)
    }
}

/// The tangent of normalized maps, as factors `[C]` each: a t + b x + c.
#[derive(Clone, Debug)]
pub struct Tangent {
    pub t: Tensor<4>,
    pub a: Tensor<1>,
    pub b: Tensor<1>,
    pub c: Tensor<1>,
}

impl Tangent {
    pub fn apply(&self, x: &Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "gpu")]
        if in_quads_on_gpu(x) {
            let [a, b, c] = [&self.a, &self.b, &self.c].map(Tensor::clone);
            // A gate that is always open.
            let gate = [a.zeros_like(), a.ones_like()];
            return gpu::gated_tangent(x.clone(), self.t.clone(), gate, [a, b, c]);
        }
        let [a, b, c] = [&self.a, &self.b, &self.c].map(|factor| per_channel(factor.clone(), x));
        self.t.clone() * a + x.clone() * b + c
    }
}

#[cfg(feature = "cpu")]
use cpu::supports as on_cpu;

/// Whether the CPU's kernels work on a tensor.
#[cfg(not(feature = "cpu"))]
fn on_cpu<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

#[cfg(feature = "gpu")]
use gpu::supports as on_gpu;

/// Whether the GPU's convolution works on a tensor.
#[cfg(not(feature = "gpu"))]
fn on_gpu<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

/// Whether the GPU's passes over channels work on maps `x`.
#[cfg(feature = "gpu")]
fn in_quads_on_gpu(x: &Tensor<4>) -> bool {
    on_gpu(x) && x.dims()[3].is_multiple_of(4)
}

/// Whether maps like `x` are channels last.
fn channels_last(x: &Tensor<4>) -> bool {
    on_cpu(x) || on_gpu(x)
}

/// Whether convolutions on a device can multiply in float16.
#[cfg(feature = "gpu")]
pub fn has_half(device: &Device) -> bool {
    gpu::has_half(&Tensor::<1>::zeros([1], device))
}

/// Not without the GPU's kernels.
#[cfg(not(feature = "gpu"))]
pub fn has_half(_: &Device) -> bool {
    false
}

/// Images `[B, C, H, W]` as maps.
pub fn maps(images: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&images) {
        return cpu::channels_last(images);
    }
    if on_gpu(&images) { images.permute([0, 2, 3, 1]) } else { images }
}

/// Maps as `[B, C, H, W]`.
pub fn images(maps: Tensor<4>) -> Tensor<4> {
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
    if on_cpu(&x) {
        return cpu::conv2d(x, weight, stride, residual);
    }
    let y = plain_conv2d(x, weight, stride);
    match residual {
        Some(residual) => y + residual,
        None => y,
    }
}

fn plain_conv2d(x: Tensor<4>, weight: &Weight, stride: usize) -> Tensor<4> {
    let tensor = weight.tensor.clone();
    #[cfg(feature = "gpu")]
    if on_gpu(&x) {
        return gpu::conv2d(x, tensor, weight.ordered.clone(), stride, weight.half);
    }
    let pad = tensor.dims()[2] / 2;
    module::conv2d(x, tensor, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
}

/// [`conv2d`] of the positive part of normalized maps.
pub fn activated_conv2d(
    x: Tensor<4>,
    norm: &Norm,
    weight: &Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::activated_conv2d(x, norm, weight, stride, residual);
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
    if on_cpu(&x) {
        let gate = norm.scale_and_shift();
        return cpu::activated_conv2d_tangent(x, gate, tangent, weight, stride, residual);
    }
    #[cfg(feature = "gpu")]
    if in_quads_on_gpu(&x) {
        let Tangent { t, a, b, c } = tangent;
        return conv2d(gpu::gated_tangent(x, t, norm.scale_and_shift(), [a, b, c]), weight, stride, residual);
    }
    let passes = norm.apply(x.clone().detach(), false).detach().greater_scalar(0.0).float();
    conv2d(tangent.apply(&x) * passes, weight, stride, residual)
}

/// scale_c x + shift_c for each channel of maps, and with `relu` its positive part; scale, shift `[C]`.
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::affine(x, scale, shift, relu);
    }
    #[cfg(feature = "gpu")]
    if in_quads_on_gpu(&x) {
        return gpu::affine(x, scale, shift, relu);
    }
    let y = x.clone() * per_channel(scale, &x) + per_channel(shift, &x);
    if relu { activation::relu(y) } else { y }
}

/// Mean and biased variance of each channel of maps, `[C]` each.
pub fn moments(x: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return rows(cpu::moments(x));
    }
    #[cfg(feature = "gpu")]
    if in_quads_on_gpu(&x) {
        return rows(gpu::moments(x));
    }
    let mean = channel_mean(x.clone());
    let centered = x.clone() - per_channel(mean.clone(), &x);
    [mean, channel_mean(centered.square())]
}

/// [`moments`] for a [`Norm`] that [`activated_conv2d`] alone is given: on the CPU that sees to their gradients itself.
pub fn moments_for_conv2d(x: Tensor<4>) -> [Tensor<1>; 2] {
    moments(if on_cpu(&x) { x.detach() } else { x })
}

/// The means over each channel of t and of x t, `[C]` each.
pub fn cross_moments(x: Tensor<4>, t: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return rows(cpu::cross_moments(x, t));
    }
    #[cfg(feature = "gpu")]
    if in_quads_on_gpu(&x) {
        return rows(gpu::cross_moments(x, t));
    }
    [channel_mean(t.clone()), channel_mean(x * t)]
}

/// The mean over height and width of maps, `[B, C]`.
pub fn mean_pool(x: Tensor<4>) -> Tensor<2> {
    let [b, c, _, _] = dims(&x);
    let area = if channels_last(&x) { [1, 2] } else { [2, 3] };
    x.mean_dims(&area).reshape([b, c])
}

/// x + step sign(gradient), brought back into the L-inf ball of radius epsilon around `around` and into [0,1]; images
/// `[B, 3, H, W]` outside of autodiff.
pub fn sign_step(x: Tensor<4>, gradient: Tensor<4>, around: &Tensor<4>, epsilon: f32, step: f32) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::sign_step(x, gradient, around.clone(), epsilon, step);
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
    if on_cpu(&weight) {
        return cpu::descend(weight, velocity, gradient, [rate, momentum, decay]);
    }
    let gradient = gradient + weight.clone().mul_scalar(decay);
    let velocity = velocity.mul_scalar(momentum) + gradient;
    [weight - velocity.clone().mul_scalar(rate), velocity]
}

fn channel_mean(x: Tensor<4>) -> Tensor<1> {
    let [_, c, _, _] = dims(&x);
    let axes = if channels_last(&x) { [0, 1, 2] } else { [0, 2, 3] };
    x.mean_dims(&axes).reshape([c])
}

/// A value per channel, broadcast over maps like `x`.
fn per_channel(values: Tensor<1>, x: &Tensor<4>) -> Tensor<4> {
    let [c] = values.dims();
    values.reshape(if channels_last(x) { [1, 1, 1, c] } else { [1, c, 1, 1] })
}

#[cfg(any(feature = "cpu", feature = "gpu"))]
fn rows(both: Tensor<2>) -> [Tensor<1>; 2] {
    let [_, c] = both.dims();
    [0, 1].map(|row| both.clone().narrow(0, row, 1).reshape([c]))
}
