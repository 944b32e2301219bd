//! Batch normalization's arithmetic on the CPU, one pass over the data each: `f32`, channels last `[..., C]`.
//!
//! Work is cut into units of as many pixels whatever the number of threads, and their sums are added in order: results
//! do not depend on the threads.

use rayon::prelude::*;

use super::memory;
use crate::platform::simd::{self, Kernel};

/// Floats of a unit, about: a few of them fit the first cache.
const UNIT: usize = 4096;

/// Maps of so many channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels(pub usize);

impl Channels {
    /// Floats of a unit: whole pixels.
    fn unit(self) -> usize {
        (UNIT / self.0).max(1) * self.0
    }

    /// `max(scale_c x + shift_c, floor)`; the floor is 0 with `relu`.
    pub fn affine(self, x: &[f32], scale: &[f32], shift: &[f32], relu: bool) -> Vec<f32> {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        self.map([x], [scale, shift], |[x], [scale, shift]| {
            let value = scale * x + shift;
            // Not `max`, which would make 0 of what is no number, and hide it.
            if value < floor { floor } else { value }
        })
    }

    /// The gradient of `x`; `y` is the output if it was cut at 0.
    pub fn affine_input_gradient(self, dy: &[f32], y: Option<&[f32]>, scale: &[f32]) -> Vec<f32> {
        match y {
            Some(y) => self.map([dy, y], [scale], |[dy, y], [scale]| if y == 0.0 { 0.0 } else { scale * dy }),
            None => self.map([dy], [scale], |[dy], [scale]| scale * dy),
        }
    }

    /// The gradients of scale and shift, `[C]` each.
    pub fn affine_parameter_gradients(self, dy: &[f32], y: Option<&[f32]>, x: &[f32]) -> [Vec<f32>; 2] {
        match y {
            Some(y) => self.sums([dy, y, x], |[dy, y, x]| {
                let dy = if y == 0.0 { 0.0 } else { dy };
                [dy * x, dy]
            }),
            None => self.sums([dy, x], |[dy, x]| [dy * x, dy]),
        }
    }

    /// Mean and biased variance, `[C]` each: of each unit around its own mean, put together after Chan et al. (1983).
    pub fn moments(self, x: &[f32]) -> [Vec<f32>; 2] {
        let units = memory::each(x.len(), self.unit(), |range| {
            let x = &x[range];
            let n = (x.len() / self.0) as f32;
            let [mut mean, mut squares] = [0, 1].map(|_| vec![0.0; self.0]);
            let sums = [&mut mean[..], &mut vec![0.0; self.0]];
            simd::run(Sums {
                channels: self.0,
                of: [x],
                around: &vec![0.0; self.0],
                term: |[x]: [f32; 1], _: f32| [x, 0.0],
                sums,
            });
            mean.iter_mut().for_each(|mean| *mean /= n);
            let term = |[x]: [f32; 1], mean: f32| [(x - mean) * (x - mean), 0.0];
            let sums = [&mut squares[..], &mut vec![0.0; self.0]];
            simd::run(Sums { channels: self.0, of: [x], around: &mean, term, sums });
            (f64::from(n), mean, squares)
        });
        let n = (x.len() / self.0) as f64;
        let of_channel = |c: usize| {
            let mean = units.iter().map(|(n, mean, _)| n * f64::from(mean[c])).sum::<f64>() / n;
            let apart = |unit: &Vec<f32>| (f64::from(unit[c]) - mean).powi(2);
            let squares = units.iter().map(|(n, unit, squares)| f64::from(squares[c]) + n * apart(unit));
            (mean as f32, (squares.sum::<f64>() / n) as f32)
        };
        let (mean, variance) = (0..self.0).map(of_channel).unzip();
        [mean, variance]
    }

    /// The gradient of `x` from those of mean and variance: (dmean + 2 (x - mean) dvariance) / n. It is added to `sum`.
    pub fn add_moments_gradient(self, sum: &mut [f32], x: &[f32], mean: &[f32], dmean: &[f32], dvariance: &[f32]) {
        let n = (x.len() / self.0) as f32;
        let slope: Vec<f32> = dvariance.iter().map(|d| 2.0 * d / n).collect();
        let offset: Vec<f32> = dmean.iter().map(|d| d / n).collect();
        let units = sum.par_chunks_mut(self.unit()).zip(x.par_chunks(self.unit()));
        units.for_each(|(sum, x)| {
            let value = |[x]: [f32; 1], [mean, slope, offset]: [f32; 3]| slope * (x - mean) + offset;
            let factors = [mean, &slope, &offset];
            simd::run(Map { channels: self.0, of: [x], factors, value, out: sum });
        });
    }

    /// The means of t and of x t, `[C]` each.
    pub fn cross_moments(self, x: &[f32], t: &[f32]) -> [Vec<f32>; 2] {
        let n = (x.len() / self.0) as f32;
        self.sums([x, t], |[x, t]| [t, x * t]).map(|sums| sums.iter().map(|sum| sum / n).collect())
    }

    /// The gradients of x and t from those of [`Channels::cross_moments`].
    pub fn cross_moments_gradient(self, x: &[f32], t: &[f32], dmean: &[f32], dproduct: &[f32]) -> [Vec<f32>; 2] {
        let n = (x.len() / self.0) as f32;
        let [dmean, dproduct]: [Vec<f32>; 2] = [dmean, dproduct].map(|d| d.iter().map(|d| d / n).collect());
        let dx = self.map([t], [&dproduct[..]], |[t], [d]| d * t);
        [dx, self.map([x], [&dproduct[..], &dmean[..]], |[x], [d, m]| d * x + m)]
    }

    /// One value of each of the operands `of`, and one of each of the channel's `factors`, make one value.
    fn map<const N: usize, const K: usize>(
        self,
        of: [&[f32]; N],
        factors: [&[f32]; K],
        value: impl Fn([f32; N], [f32; K]) -> f32 + Copy + Sync + Send,
    ) -> Vec<f32> {
        let fill = |_: &mut (), unit: usize, [out]: [&mut [f32]; 1]| {
            let start = unit * self.unit();
            let of = of.map(|of| &of[start..start + out.len()]);
            simd::run(Map { channels: self.0, of, factors, value, out });
        };
        let ([out], _) = memory::fill(of[0].len(), self.unit(), || (), fill);
        out
    }

    /// Adds up two terms of all pixels, channel by channel.
    fn sums<const N: usize>(
        self,
        of: [&[f32]; N],
        term: impl Fn([f32; N]) -> [f32; 2] + Copy + Sync + Send,
    ) -> [Vec<f32>; 2] {
        let around = vec![0.0; self.0];
        let units = memory::each(of[0].len(), self.unit(), |range| {
            let mut both = [0, 1].map(|_| vec![0.0; self.0]);
            let of = of.map(|of| &of[range.clone()]);
            let sums = both.each_mut().map(|sums| &mut sums[..]);
            simd::run(Sums { channels: self.0, of, around: &around, term: |of: [f32; N], _: f32| term(of), sums });
            both
        });
        [0, 1].map(|row| {
            let of_channel = |c: usize| units.iter().map(|unit| f64::from(unit[row][c])).sum::<f64>() as f32;
            (0..self.0).map(of_channel).collect()
        })
    }
}

/// Adds a value of each pixel's operands to `out`.
struct Map<'a, const N: usize, const K: usize, F> {
    channels: usize,
    of: [&'a [f32]; N],
    factors: [&'a [f32]; K],
    value: F,
    out: &'a mut [f32],
}

impl<const N: usize, const K: usize, F: Fn([f32; N], [f32; K]) -> f32> Kernel for Map<'_, N, K, F> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(mut self) {
        for first in (0..self.channels).step_by(L) {
            if first + L <= self.channels {
                self.lanes::<L>(first);
            } else {
                (first..self.channels).for_each(|channel| self.lanes::<1>(channel));
            }
        }
    }
}

impl<const N: usize, const K: usize, F: Fn([f32; N], [f32; K]) -> f32> Map<'_, N, K, F> {
    #[inline(always)]
    fn lanes<const L: usize>(&mut self, first: usize) {
        let factors = self.factors.map(|factor| simd::load::<L>(factor, first));
        for at in (first..self.out.len()).step_by(self.channels) {
            let of = self.of.map(|of| simd::load::<L>(of, at));
            let mut out: [f32; L] = simd::load(self.out, at);
            for l in 0..L {
                out[l] += (self.value)(of.map(|of| of[l]), factors.map(|factor| factor[l]));
            }
            self.out[at..at + L].copy_from_slice(&out);
        }
    }
}

/// Adds two terms of each pixel to `sums`.
struct Sums<'a, const N: usize, F> {
    channels: usize,
    of: [&'a [f32]; N],
    /// `[C]`, for the terms.
    around: &'a [f32],
    term: F,
    /// `[C]` each.
    sums: [&'a mut [f32]; 2],
}

impl<const N: usize, F: Fn([f32; N], f32) -> [f32; 2]> Kernel for Sums<'_, N, F> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(mut self) {
        for first in (0..self.channels).step_by(L) {
            if first + L <= self.channels {
                self.lanes::<L>(first);
            } else {
                (first..self.channels).for_each(|channel| self.lanes::<1>(channel));
            }
        }
    }
}

impl<const N: usize, F: Fn([f32; N], f32) -> [f32; 2]> Sums<'_, N, F> {
    #[inline(always)]
    fn lanes<const L: usize>(&mut self, first: usize) {
        let around: [f32; L] = simd::load(self.around, first);
        let mut sums = [[0.0f32; L]; 2];
        for at in (first..self.of[0].len()).step_by(self.channels) {
            let of = self.of.map(|of| simd::load::<L>(of, at));
            for l in 0..L {
                let [a, b] = (self.term)(of.map(|of| of[l]), around[l]);
                sums[0][l] += a;
                sums[1][l] += b;
            }
        }
        for (row, new) in self.sums.iter_mut().zip(&sums) {
            row[first..first + L].iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        }
    }
}
