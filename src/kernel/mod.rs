//! Tensor operations of the networks, with custom kernels for the CPU ([`cpu`]) and, in WGSL, for the GPU ([`gpu`]).
//!
//! In float32 on these devices, feature maps are in NHWC layout, `[B, H, W, C]`. In float64 and on remote devices they
//! are in NCHW layout, `[B, C, H, W]`, and burn's own operations are used. Other modules convert between images and
//! feature maps with [`images_to_maps`] and [`maps_to_images`] and do not depend on the layout.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(any(feature = "cpu", feature = "gpu"))]
mod gated_tangent;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(any(feature = "cpu", feature = "gpu"))]
mod prelude;

use std::sync::{Arc, OnceLock};

#[cfg(feature = "cpu")]
pub use cpu::profile;

use burn::tensor::{Device, Tensor, activation, module, ops::ConvOptions};

/// Weight of a convolution, `[out, in, k, k]` with odd k. Use one `Weight` with one stride only: the cached layouts
/// depend on the stride.
#[derive(Clone, Debug)]
pub struct Weight {
    tensor: Tensor<4>,
    /// Multiply in float16 and accumulate in float32, if the GPU supports it.
    f16: bool,
    /// Cached copies in the memory layouts of the kernels; shared by all clones, tracked or not.
    #[cfg(feature = "cpu")]
    cpu_layouts: Arc<cpu::WeightLayouts>,
    #[cfg(feature = "gpu")]
    gpu_layouts: Arc<gpu::WeightLayouts>,
}

impl Weight {
    /// Wraps a weight `[out, in, k, k]`.
    pub fn new(tensor: Tensor<4>) -> Self {
        Self {
            tensor,
            f16: false,
            #[cfg(feature = "cpu")]
            cpu_layouts: Arc::default(),
            #[cfg(feature = "gpu")]
            gpu_layouts: Arc::default(),
        }
    }

    /// Returns the weight, `[out, in, k, k]`.
    pub fn tensor(&self) -> &Tensor<4> {
        &self.tensor
    }

    /// Returns a weight with new values and the same precision.
    pub fn with_values(&self, tensor: Tensor<4>) -> Self {
        Self { f16: self.f16, ..Self::new(tensor) }
    }

    /// Returns a copy that is multiplied in float16 and accumulated in float32, if the GPU supports it.
    pub fn with_f16(&self) -> Self {
        Self { f16: true, ..self.clone() }
    }

    /// Returns a copy that is a leaf of the autodiff graph.
    pub fn tracked(&self) -> Self {
        Self { tensor: self.tensor.clone().inner().autodiff().require_grad(), ..self.clone() }
    }
}

/// Parameters of a batch normalization, gamma (x - mean) / sqrt(variance + epsilon) + beta; tensors `[C]` each.
#[derive(Clone, Debug)]
pub struct BatchNormParams {
    /// Learned scale.
    pub gamma: Tensor<1>,
    /// Learned shift.
    pub beta: Tensor<1>,
    /// Mean that is subtracted.
    pub mean: Tensor<1>,
    /// Variance that is divided by.
    pub variance: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether mean and variance are the statistics of the normalized feature maps. Then gradients also flow through
    /// them.
    pub batch_statistics: bool,
    /// Cache of [`BatchNormParams::scale_and_shift`].
    pub folded: FoldedNorm,
}

/// A batch normalization folded into one scale and one shift per channel, `[C]` each; computed on first use. An attack
/// applies the same normalization at every step and reuses it.
pub type FoldedNorm = Arc<OnceLock<[Tensor<1>; 2]>>;

impl BatchNormParams {
    /// Returns 1 / sigma, `[C]`.
    pub fn inverse_sigma(&self) -> Tensor<1> {
        self.variance.clone().add_scalar(self.epsilon).sqrt().recip()
    }

    /// Returns the scale and the shift that are equivalent to this normalization, `[C]` each.
    pub fn scale_and_shift(&self) -> [Tensor<1>; 2] {
        let fold = || {
            let scale = self.gamma.clone() * self.inverse_sigma();
            let shift = self.beta.clone() - self.mean.clone() * scale.clone();
            [scale, shift]
        };
        self.folded.get_or_init(fold).clone()
    }

    /// Normalizes feature maps `x`; `relu` adds a ReLU.
    pub fn apply(&self, x: Tensor<4>, relu: bool) -> Tensor<4> {
        let [scale, shift] = self.scale_and_shift();
        affine(x, scale, shift, relu)
    }
}

/// Tangent of a batch normalization in forward-mode differentiation: a t + b x + c, with t the tangent of x.
#[derive(Clone, Debug)]
pub struct NormTangent {
    /// Tangent of x, of the shape of x.
    pub t: Tensor<4>,
    /// Factor of t, `[C]`.
    pub a: Tensor<1>,
    /// Factor of x, `[C]`.
    pub b: Tensor<1>,
    /// Constant, `[C]`.
    pub c: Tensor<1>,
}

impl NormTangent {
    /// Returns a t + b x + c, of the shape of `x`.
    pub fn apply(&self, x: &Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "gpu")]
        if gpu_channel_passes_support(x) {
            // Scale 0 and shift 1 make a ReLU gate that is open everywhere.
            let [scale, shift] = [self.a.zeros_like(), self.a.ones_like()];
            return gpu::gated_tangent(x.clone(), [scale, shift], self.clone());
        }
        let [a, b, c] = [&self.a, &self.b, &self.c].map(|factor| per_channel(factor.clone(), x));
        self.t.clone() * a + x.clone() * b + c
    }
}

#[cfg(feature = "cpu")]
use cpu::supports as on_cpu;

/// Returns whether the CPU kernels support a tensor: never in this build.
#[cfg(not(feature = "cpu"))]
fn on_cpu<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

#[cfg(feature = "gpu")]
use gpu::supports as on_gpu;

/// Returns whether the GPU kernels support a tensor: never in this build.
#[cfg(not(feature = "gpu"))]
fn on_gpu<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

/// Returns whether the GPU's channel passes support feature maps `x`: they need a multiple of 4 channels.
#[cfg(feature = "gpu")]
fn gpu_channel_passes_support(x: &Tensor<4>) -> bool {
    on_gpu(x) && x.dims()[3].is_multiple_of(4)
}

/// Returns whether feature maps like `x` are in NHWC layout.
fn channels_last(x: &Tensor<4>) -> bool {
    on_cpu(x) || on_gpu(x)
}

/// Returns whether convolutions on a device can multiply in float16.
#[cfg(feature = "gpu")]
pub fn supports_f16(device: &Device) -> bool {
    gpu::supports_f16(&Tensor::<1>::zeros([1], device))
}

/// Returns whether convolutions on a device can multiply in float16: never without the GPU kernels.
#[cfg(not(feature = "gpu"))]
pub fn supports_f16(_: &Device) -> bool {
    false
}

/// Converts images `[B, C, H, W]` to feature maps.
pub fn images_to_maps(images: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&images) {
        return cpu::channels_last(images);
    }
    if on_gpu(&images) { images.permute([0, 2, 3, 1]) } else { images }
}

/// Converts feature maps to `[B, C, H, W]`.
pub fn maps_to_images(maps: Tensor<4>) -> Tensor<4> {
    if channels_last(&maps) { maps.permute([0, 3, 1, 2]) } else { maps }
}

/// Returns batch, channels, height and width of feature maps.
pub fn dims(maps: &Tensor<4>) -> [usize; 4] {
    let [b, x, y, z] = maps.dims();
    if channels_last(maps) { [b, z, x, y] } else { [b, x, y, z] }
}

/// Convolves feature maps with padding k/2. The output has height and width H/stride and W/stride, rounded up.
/// `residual`, of the shape of the output, is added.
///
/// # Panics
/// If the input channels of `x` and `weight` differ.
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
    #[cfg(feature = "gpu")]
    if on_gpu(&x) {
        return gpu::conv2d(x, weight, stride);
    }
    let tensor = weight.tensor.clone();
    let pad = tensor.dims()[2] / 2;
    module::conv2d(x, tensor, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
}

/// Computes batch normalization, ReLU and [`conv2d`] of feature maps; fused on the CPU.
///
/// # Panics
/// If the input channels of `x` and `weight` differ.
pub fn norm_relu_conv2d(
    x: Tensor<4>,
    norm: &BatchNormParams,
    weight: &Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::norm_relu_conv2d(x, norm, weight, stride, residual);
    }
    conv2d(norm.apply(x, true), weight, stride, residual)
}

/// Computes the tangent of [`norm_relu_conv2d`]; `residual` is the tangent of its residual.
///
/// # Panics
/// If the input channels of `x` and `weight` differ.
pub fn norm_relu_conv2d_tangent(
    x: Tensor<4>,
    norm: &BatchNormParams,
    tangent: NormTangent,
    weight: &Weight,
    stride: usize,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        let gate = norm.scale_and_shift();
        return cpu::norm_relu_conv2d_tangent(x, gate, tangent, weight, stride, residual);
    }
    #[cfg(feature = "gpu")]
    if gpu_channel_passes_support(&x) {
        return conv2d(gpu::gated_tangent(x, norm.scale_and_shift(), tangent), weight, stride, residual);
    }
    let gate = norm.apply(x.clone().detach(), false).detach().greater_scalar(0.0).float();
    conv2d(tangent.apply(&x) * gate, weight, stride, residual)
}

/// Returns scale x + shift for each channel of feature maps; `relu` adds a ReLU. Scale and shift are `[C]`.
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>, relu: bool) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::affine(x, scale, shift, relu);
    }
    #[cfg(feature = "gpu")]
    if gpu_channel_passes_support(&x) {
        return gpu::affine(x, scale, shift, relu);
    }
    let y = x.clone() * per_channel(scale, &x) + per_channel(shift, &x);
    if relu { activation::relu(y) } else { y }
}

/// Returns mean and biased variance of each channel of feature maps, `[C]` each.
pub fn moments(x: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return rows(cpu::moments(x));
    }
    #[cfg(feature = "gpu")]
    if gpu_channel_passes_support(&x) {
        return rows(gpu::moments(x));
    }
    let mean = channel_mean(x.clone());
    let centered = x.clone() - per_channel(mean.clone(), &x);
    [mean, channel_mean(centered.square())]
}

/// Returns [`moments`] for a [`BatchNormParams`] that only [`norm_relu_conv2d`] uses. On the CPU that operation
/// computes the gradient of the moments itself.
pub fn moments_for_conv2d(x: Tensor<4>) -> [Tensor<1>; 2] {
    moments(if on_cpu(&x) { x.detach() } else { x })
}

/// Returns the means of t and of x t over each channel, `[C]` each.
pub fn cross_moments(x: Tensor<4>, t: Tensor<4>) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return rows(cpu::cross_moments(x, t));
    }
    #[cfg(feature = "gpu")]
    if gpu_channel_passes_support(&x) {
        return rows(gpu::cross_moments(x, t));
    }
    [channel_mean(t.clone()), channel_mean(x * t)]
}

/// Global average pooling: returns the means over height and width of feature maps, `[B, C]`.
pub fn mean_pool(x: Tensor<4>) -> Tensor<2> {
    let [b, c, _, _] = dims(&x);
    let spatial_axes = if channels_last(&x) { [1, 2] } else { [2, 3] };
    x.mean_dims(&spatial_axes).reshape([b, c])
}

/// Computes one L-infinity PGD step: x + step sign(gradient), projected onto the ball of radius `epsilon` around
/// `center` and onto [0,1]. All tensors are images `[B, 3, H, W]` outside of autodiff; `epsilon` and `step` are in
/// pixel units.
pub fn sign_step(x: Tensor<4>, gradient: Tensor<4>, center: &Tensor<4>, epsilon: f32, step: f32) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if on_cpu(&x) {
        return cpu::sign_step(x, gradient, center.clone(), epsilon, step);
    }
    let moved = x + gradient.sign().mul_scalar(step);
    let (low, high) = (center.clone().sub_scalar(epsilon), center.clone().add_scalar(epsilon));
    moved.max_pair(low).min_pair(high).clamp(0.0, 1.0)
}

/// Hyperparameters of [`sgd_step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdParams {
    /// Learning rate.
    pub learning_rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
}

/// Computes one SGD step with momentum and weight decay: v' = momentum v + (gradient + weight_decay w),
/// w' = w - learning_rate v'. All tensors are `[n]`, outside of autodiff. Returns w' and v'.
pub fn sgd_step(weight: Tensor<1>, velocity: Tensor<1>, gradient: Tensor<1>, params: SgdParams) -> [Tensor<1>; 2] {
    #[cfg(feature = "cpu")]
    if on_cpu(&weight) {
        return cpu::sgd_step(weight, velocity, gradient, params);
    }
    let gradient = gradient + weight.clone().mul_scalar(params.weight_decay);
    let velocity = velocity.mul_scalar(params.momentum) + gradient;
    [weight - velocity.clone().mul_scalar(params.learning_rate), velocity]
}

fn channel_mean(x: Tensor<4>) -> Tensor<1> {
    let [_, c, _, _] = dims(&x);
    let axes = if channels_last(&x) { [0, 1, 2] } else { [0, 2, 3] };
    x.mean_dims(&axes).reshape([c])
}

/// Reshapes one value per channel so that it broadcasts over feature maps like `x`.
fn per_channel(values: Tensor<1>, x: &Tensor<4>) -> Tensor<4> {
    let [c] = values.dims();
    values.reshape(if channels_last(x) { [1, 1, 1, c] } else { [1, c, 1, 1] })
}

/// Splits `[2, C]` into its two rows.
#[cfg(any(feature = "cpu", feature = "gpu"))]
fn rows(matrix: Tensor<2>) -> [Tensor<1>; 2] {
    let [_, c] = matrix.dims();
    [0, 1].map(|row| matrix.clone().narrow(0, row, 1).reshape([c]))
}
