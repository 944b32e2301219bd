//! What a convolution reads: feature maps, channels last, or what normalization and ReLU make of them.
//!
//! BN, ReLU and convolution follow one another everywhere. So that the activated maps need not be written and read again,
//! they are computed where a convolution copies its input anyway (see [`super::window`]), and their gradient where it
//! leaves its own.

use crate::platform::simd::{self, Kernel};

/// Feature maps `[B, H, W, C]`, or of each channel `relu(scale x + shift)`, or the tangent of that.
#[derive(Clone, Copy)]
pub struct Maps<'a> {
    pub x: &'a [f32],
    pub gate: Option<Gate<'a>>,
}

/// A factor and a summand for each channel, `[C]`, after which what is not positive becomes 0.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    /// With it the maps are the tangent `a t + b x + c` wherever the gate lets the value pass.
    pub tangent: Option<Tangent<'a>>,
}

/// The tangent of normalized maps, before the gate.
#[derive(Clone, Copy)]
pub struct Tangent<'a> {
    /// The tangent of x, of its shape.
    pub t: &'a [f32],
    /// `[C]` each.
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub c: &'a [f32],
}

impl Maps<'_> {
    /// Writes the maps at `at .. at + out.len()`, whole pixels of `channels`.
    pub fn write(&self, at: usize, channels: usize, out: &mut [f32]) {
        let x = &self.x[at..][..out.len()];
        let Some(gate) = self.gate else { return out.copy_from_slice(x) };
        let tangent = gate.tangent.map(|tangent| Tangent { t: &tangent.t[at..][..out.len()], ..tangent });
        simd::run(Write { x, gate: Gate { tangent, ..gate }, channels, out });
    }
}

/// What passes a gate: the value itself where it is positive or no number, which must not be hidden.
#[inline(always)]
fn passes(value: f32) -> bool {
    value > 0.0 || value.is_nan()
}

#[inline(always)]
fn affine<const FMA: bool>(scale: f32, x: f32, shift: f32) -> f32 {
    if FMA { scale.mul_add(x, shift) } else { scale * x + shift }
}

struct Write<'a> {
    x: &'a [f32],
    gate: Gate<'a>,
    channels: usize,
    out: &'a mut [f32],
}

impl Kernel for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(mut self) {
        for first in (0..self.channels).step_by(L) {
            if first + L <= self.channels {
                self.lanes::<L, FMA>(first);
            } else {
                (first..self.channels).for_each(|channel| self.lanes::<1, FMA>(channel));
            }
        }
    }
}

impl Write<'_> {
    /// `N` channels of all pixels.
    #[inline(always)]
    fn lanes<const N: usize, const FMA: bool>(&mut self, first: usize) {
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
            Some(Tangent { t, a, b, c }) => {
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

/// The gradients of the operands of gated maps, from that of the maps, over some whole pixels.
pub struct Gradient<'a> {
    pub gate: Gate<'a>,
    /// `[pixels, C]`.
    pub x: &'a [f32],
    pub channels: usize,
    /// In: the gradient of the maps. Out: that of t if there is a tangent, else that of x.
    pub g: &'a mut [f32],
    /// Out, if there is a tangent: the gradient of x.
    pub dx: &'a mut [f32],
    /// Added to: the gradients of the factors `[3, C]`, in the order a, b, c; without a tangent b is the scale, c the
    /// shift.
    pub sums: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(mut self) {
        for first in (0..self.channels).step_by(L) {
            if first + L <= self.channels {
                self.lanes::<L, FMA>(first);
            } else {
                (first..self.channels).for_each(|channel| self.lanes::<1, FMA>(channel));
            }
        }
    }
}

impl Gradient<'_> {
    /// `N` channels of all pixels.
    #[inline(always)]
    fn lanes<const N: usize, const FMA: bool>(&mut self, first: usize) {
        let [scale, shift] = [self.gate.scale, self.gate.shift].map(|f| simd::load::<N>(f, first));
        let mut sums = [[0.0f32; N]; 3];
        for at in (first..self.g.len()).step_by(self.channels) {
            let x: [f32; N] = simd::load(self.x, at);
            let g: [f32; N] = simd::load(self.g, at);
            let kept: [f32; N] =
                std::array::from_fn(|l| if passes(affine::<FMA>(scale[l], x[l], shift[l])) { g[l] } else { 0.0 });
            let factor = match self.gate.tangent {
                None => scale,
                Some(tangent) => {
                    let [a, b] = [tangent.a, tangent.b].map(|f| simd::load::<N>(f, first));
                    simd::multiply_add::<N, FMA>(&mut sums[0], &kept, &simd::load(tangent.t, at));
                    let dx: [f32; N] = std::array::from_fn(|l| b[l] * kept[l]);
                    self.dx[at..at + N].copy_from_slice(&dx);
                    a
                }
            };
            simd::multiply_add::<N, FMA>(&mut sums[1], &kept, &x);
            simd::multiply_add::<N, FMA>(&mut sums[2], &kept, &[1.0; N]);
            let g: [f32; N] = std::array::from_fn(|l| factor[l] * kept[l]);
            self.g[at..at + N].copy_from_slice(&g);
        }
        for (row, new) in self.sums.chunks_exact_mut(self.channels).zip(&sums) {
            row[first..first + N].iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        }
    }
}
