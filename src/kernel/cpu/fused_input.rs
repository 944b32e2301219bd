//! Input of a convolution: NHWC feature maps, optionally with a fused batch normalization and ReLU.
//!
//! In these networks a convolution mostly follows a batch normalization and a ReLU. The activated feature maps are
//! never stored: they are computed while a convolution copies its input into a padded window (see [`super::window`]),
//! and their gradient is computed while the input gradient is written.

use super::channel_kernel::ChannelKernel;
use crate::platform::simd;

/// Feature maps `x` `[B, H, W, C]`. With a gate: relu(scale x + shift), or the tangent of that.
#[derive(Clone, Copy)]
pub struct FeatureMaps<'a> {
    /// `[B, H, W, C]`.
    pub x: &'a [f32],
    /// Fused normalization and ReLU.
    pub gate: Option<ReluGate<'a>>,
}

/// Scale and shift of each channel, `[C]`, followed by a ReLU.
#[derive(Clone, Copy)]
pub struct ReluGate<'a> {
    /// Factor of x, `[C]`.
    pub scale: &'a [f32],
    /// Constant, `[C]`.
    pub shift: &'a [f32],
    /// If present, the feature maps are the tangent: a t + b x + c where scale x + shift is positive, and 0 elsewhere.
    pub tangent: Option<GateTangent<'a>>,
}

/// Tangent of normalized feature maps before the ReLU: a t + b x + c.
#[derive(Clone, Copy)]
pub struct GateTangent<'a> {
    /// Tangent of x, of the shape of x.
    pub t: &'a [f32],
    /// Factor of t, `[C]`.
    pub a: &'a [f32],
    /// Factor of x, `[C]`.
    pub b: &'a [f32],
    /// Constant, `[C]`.
    pub c: &'a [f32],
}

impl FeatureMaps<'_> {
    /// Writes the values `at .. at + out.len()` to `out`; the range covers whole pixels of `channels` values.
    pub fn write(&self, at: usize, channels: usize, out: &mut [f32]) {
        let x = &self.x[at..][..out.len()];
        let Some(gate) = self.gate else { return out.copy_from_slice(x) };
        let tangent = gate.tangent.map(|tangent| GateTangent { t: &tangent.t[at..][..out.len()], ..tangent });
        simd::run(WriteActivated { x, gate: ReluGate { tangent, ..gate }, channels, out });
    }
}

/// Returns whether ReLU passes a value: if it is positive or NaN. NaN must stay visible.
#[inline(always)]
fn passes(value: f32) -> bool {
    value > 0.0 || value.is_nan()
}

#[inline(always)]
fn affine<const FMA: bool>(scale: f32, x: f32, shift: f32) -> f32 {
    if FMA { scale.mul_add(x, shift) } else { scale * x + shift }
}

/// Writes activated feature maps, or their tangent, to `out`.
struct WriteActivated<'a> {
    /// `[pixels, C]`.
    x: &'a [f32],
    gate: ReluGate<'a>,
    channels: usize,
    /// `[pixels, C]`.
    out: &'a mut [f32],
}

impl ChannelKernel for WriteActivated<'_> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run_channels<const N: usize, const FMA: bool>(&mut self, first: usize) {
        let [scale, shift] = [self.gate.scale, self.gate.shift].map(|f| simd::load::<N>(f, first));
        let pixels = (first..self.out.len()).step_by(self.channels);
        match self.gate.tangent {
            None => {
                for at in pixels {
                    let x: [f32; N] = simd::load(self.x, at);
                    let y: [f32; N] = std::array::from_fn(|l| {
                        let value = affine::<FMA>(scale[l], x[l], shift[l]);
                        if passes(value) { value } else { 0.0 }
                    });
                    self.out[at..at + N].copy_from_slice(&y);
                }
            }
            Some(GateTangent { t, a, b, c }) => {
                let [a, b, c] = [a, b, c].map(|f| simd::load::<N>(f, first));
                for at in pixels {
                    let [x, t] = [self.x, t].map(|from| simd::load::<N>(from, at));
                    let y: [f32; N] = std::array::from_fn(|l| {
                        let tangent = affine::<FMA>(a[l], t[l], affine::<FMA>(b[l], x[l], c[l]));
                        if passes(affine::<FMA>(scale[l], x[l], shift[l])) { tangent } else { 0.0 }
                    });
                    self.out[at..at + N].copy_from_slice(&y);
                }
            }
        }
    }
}

/// Computes the gradients of everything that a gate reads, from the gradient of its output, over whole pixels.
pub struct GateGradient<'a> {
    /// The gate.
    pub gate: ReluGate<'a>,
    /// Input of the gate, `[pixels, C]`.
    pub x: &'a [f32],
    /// Number of channels.
    pub channels: usize,
    /// In: gradient of the output, `[pixels, C]`. Out: gradient of t if there is a tangent, otherwise of x.
    pub g: &'a mut [f32],
    /// Out, if there is a tangent: gradient of x, `[pixels, C]`.
    pub dx: &'a mut [f32],
    /// In and out: the gradients of a, b and c, `[3, C]`, are added. Without a tangent b is the scale and c the shift.
    pub sums: &'a mut [f32],
}

impl ChannelKernel for GateGradient<'_> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run_channels<const N: usize, const FMA: bool>(&mut self, first: usize) {
        let [scale, shift] = [self.gate.scale, self.gate.shift].map(|f| simd::load::<N>(f, first));
        let mut sums = [[0.0f32; N]; 3];
        for at in (first..self.g.len()).step_by(self.channels) {
            let x: [f32; N] = simd::load(self.x, at);
            let g: [f32; N] = simd::load(self.g, at);
            let gated: [f32; N] =
                std::array::from_fn(|l| if passes(affine::<FMA>(scale[l], x[l], shift[l])) { g[l] } else { 0.0 });
            let factor = match self.gate.tangent {
                None => scale,
                Some(tangent) => {
                    let [a, b] = [tangent.a, tangent.b].map(|f| simd::load::<N>(f, first));
                    simd::multiply_add::<N, FMA>(&mut sums[0], &gated, &simd::load(tangent.t, at));
                    let dx: [f32; N] = std::array::from_fn(|l| b[l] * gated[l]);
                    self.dx[at..at + N].copy_from_slice(&dx);
                    a
                }
            };
            simd::multiply_add::<N, FMA>(&mut sums[1], &gated, &x);
            simd::multiply_add::<N, FMA>(&mut sums[2], &gated, &[1.0; N]);
            let g: [f32; N] = std::array::from_fn(|l| factor[l] * gated[l]);
            self.g[at..at + N].copy_from_slice(&g);
        }
        for (row, new) in self.sums.chunks_exact_mut(self.channels).zip(&sums) {
            row[first..first + N].iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        }
    }
}
