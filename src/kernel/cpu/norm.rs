//! Arithmetic of batch normalization on the CPU: float32, channels last `[..., C]`, one pass over memory per function.
//!
//! The data is divided into chunks of a size that does not depend on the number of threads, and the sums of the chunks
//! are added in order. So results do not depend on the number of threads.

use rayon::prelude::*;

use super::{channel_kernel::ChannelKernel, parallel};
use crate::platform::simd;

/// Approximate number of floats of a chunk: several chunks fit into the L1 cache.
const CHUNK: usize = 4096;

/// Operations on feature maps with this number of channels. All slices are `[pixels, C]` or `[C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels(pub usize);

impl Channels {
    /// Returns the number of floats of a chunk: whole pixels.
    fn chunk(self) -> usize {
        (CHUNK / self.0).max(1) * self.0
    }

    /// Returns scale x + shift, with a ReLU if `relu`.
    pub fn affine(self, x: &[f32], scale: &[f32], shift: &[f32], relu: bool) -> Vec<f32> {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        self.map([x], [scale, shift], |[x], [scale, shift]| {
            let value = scale * x + shift;
            // `max` would turn NaN into 0 and hide it.
            if value < floor { floor } else { value }
        })
    }

    /// Returns the gradient of x of [`Channels::affine`]. `y` is the output if it has a ReLU.
    pub fn affine_input_gradient(self, dy: &[f32], y: Option<&[f32]>, scale: &[f32]) -> Vec<f32> {
        match y {
            Some(y) => self.map([dy, y], [scale], |[dy, y], [scale]| if y == 0.0 { 0.0 } else { scale * dy }),
            None => self.map([dy], [scale], |[dy], [scale]| scale * dy),
        }
    }

    /// Returns the gradients of scale and shift of [`Channels::affine`], `[C]` each. `y` is the output if it has a
    /// ReLU.
    pub fn affine_parameter_gradients(self, dy: &[f32], y: Option<&[f32]>, x: &[f32]) -> [Vec<f32>; 2] {
        match y {
            Some(y) => self.sums([dy, y, x], |[dy, y, x]| {
                let dy = if y == 0.0 { 0.0 } else { dy };
                [dy * x, dy]
            }),
            None => self.sums([dy, x], |[dy, x]| [dy * x, dy]),
        }
    }

    /// Returns mean and biased variance, `[C]` each. The squares of each chunk are taken around the chunk's own mean
    /// and then combined (Chan et al., 1983).
    pub fn moments(self, x: &[f32]) -> [Vec<f32>; 2] {
        let chunks = parallel::map_chunks(x.len(), self.chunk(), |range| {
            let x = &x[range];
            let n = (x.len() / self.0) as f32;
            let [mut mean, mut squares] = [0, 1].map(|_| vec![0.0; self.0]);
            let sums = [&mut mean[..], &mut vec![0.0; self.0]];
            let term = |[x]: [f32; 1], _: f32| [x, 0.0];
            simd::run(ChannelSums { channels: self.0, inputs: [x], center: &vec![0.0; self.0], term, sums });
            mean.iter_mut().for_each(|mean| *mean /= n);
            let term = |[x]: [f32; 1], mean: f32| [(x - mean) * (x - mean), 0.0];
            let sums = [&mut squares[..], &mut vec![0.0; self.0]];
            simd::run(ChannelSums { channels: self.0, inputs: [x], center: &mean, term, sums });
            ChunkMoments { n: f64::from(n), mean, squares }
        });
        let n = (x.len() / self.0) as f64;
        let mut moments = [0, 1].map(|_| Vec::with_capacity(self.0));
        for c in 0..self.0 {
            let mean = chunks.iter().map(|chunk| chunk.n * f64::from(chunk.mean[c])).sum::<f64>() / n;
            let squares = chunks.iter().map(|chunk| {
                let offset = f64::from(chunk.mean[c]) - mean;
                f64::from(chunk.squares[c]) + chunk.n * offset.powi(2)
            });
            moments[0].push(mean as f32);
            moments[1].push((squares.sum::<f64>() / n) as f32);
        }
        moments
    }

    /// Adds the gradient of x of [`Channels::moments`] to `sum`: (dmean + 2 (x - mean) dvariance) / n.
    pub fn add_moments_gradient(self, sum: &mut [f32], x: &[f32], mean: &[f32], dmean: &[f32], dvariance: &[f32]) {
        let n = (x.len() / self.0) as f32;
        let slope: Vec<f32> = dvariance.iter().map(|d| 2.0 * d / n).collect();
        let offset: Vec<f32> = dmean.iter().map(|d| d / n).collect();
        let chunks = sum.par_chunks_mut(self.chunk()).zip(x.par_chunks(self.chunk()));
        chunks.for_each(|(sum, x)| {
            let value = |[x]: [f32; 1], [mean, slope, offset]: [f32; 3]| slope * (x - mean) + offset;
            let factors = [mean, &slope, &offset];
            simd::run(ChannelMap { channels: self.0, inputs: [x], factors, value, out: sum });
        });
    }

    /// Returns the means of t and of x t, `[C]` each.
    pub fn cross_moments(self, x: &[f32], t: &[f32]) -> [Vec<f32>; 2] {
        let n = (x.len() / self.0) as f32;
        self.sums([x, t], |[x, t]| [t, x * t]).map(|sums| sums.iter().map(|sum| sum / n).collect())
    }

    /// Returns the gradients of x and t of [`Channels::cross_moments`].
    pub fn cross_moments_gradient(self, x: &[f32], t: &[f32], dmean: &[f32], dproduct: &[f32]) -> [Vec<f32>; 2] {
        let n = (x.len() / self.0) as f32;
        let [dmean, dproduct]: [Vec<f32>; 2] = [dmean, dproduct].map(|d| d.iter().map(|d| d / n).collect());
        let dx = self.map([t], [&dproduct[..]], |[t], [d]| d * t);
        [dx, self.map([x], [&dproduct[..], &dmean[..]], |[x], [d, m]| d * x + m)]
    }

    /// Returns `value` of each element: a function of one value of each input and of the channel's `factors`.
    fn map<const N: usize, const K: usize>(
        self,
        inputs: [&[f32]; N],
        factors: [&[f32]; K],
        value: impl Fn([f32; N], [f32; K]) -> f32 + Copy + Sync + Send,
    ) -> Vec<f32> {
        let fill = |_: &mut (), chunk: usize, [out]: [&mut [f32]; 1]| {
            let start = chunk * self.chunk();
            let inputs = inputs.map(|input| &input[start..start + out.len()]);
            simd::run(ChannelMap { channels: self.0, inputs, factors, value, out });
        };
        let ([out], _) = parallel::fill(inputs[0].len(), self.chunk(), || (), fill);
        out
    }

    /// Returns the sums over all pixels of two terms, `[C]` each.
    fn sums<const N: usize>(
        self,
        inputs: [&[f32]; N],
        term: impl Fn([f32; N]) -> [f32; 2] + Copy + Sync + Send,
    ) -> [Vec<f32>; 2] {
        let center = vec![0.0; self.0];
        let chunks = parallel::map_chunks(inputs[0].len(), self.chunk(), |range| {
            let mut both = [0, 1].map(|_| vec![0.0; self.0]);
            let inputs = inputs.map(|input| &input[range.clone()]);
            let sums = both.each_mut().map(|sums| &mut sums[..]);
            let term = |values: [f32; N], _: f32| term(values);
            simd::run(ChannelSums { channels: self.0, inputs, center: &center, term, sums });
            both
        });
        [0, 1].map(|row| {
            let channel_sum = |c: usize| chunks.iter().map(|chunk| f64::from(chunk[row][c])).sum::<f64>() as f32;
            (0..self.0).map(channel_sum).collect()
        })
    }
}

/// Moments of one chunk.
struct ChunkMoments {
    /// Pixels.
    n: f64,
    /// `[C]`.
    mean: Vec<f32>,
    /// Sums of the squared distances from the mean of the chunk, `[C]`.
    squares: Vec<f32>,
}

/// Adds a function of the inputs to each element of `out`.
struct ChannelMap<'a, const N: usize, const K: usize, F> {
    channels: usize,
    /// `[pixels, C]` each.
    inputs: [&'a [f32]; N],
    /// `[C]` each.
    factors: [&'a [f32]; K],
    value: F,
    /// `[pixels, C]`.
    out: &'a mut [f32],
}

impl<const N: usize, const K: usize, F: Fn([f32; N], [f32; K]) -> f32> ChannelKernel for ChannelMap<'_, N, K, F> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run_channels<const L: usize, const FMA: bool>(&mut self, first: usize) {
        let factors = self.factors.map(|factor| simd::load::<L>(factor, first));
        for at in (first..self.out.len()).step_by(self.channels) {
            let inputs = self.inputs.map(|input| simd::load::<L>(input, at));
            let mut out: [f32; L] = simd::load(self.out, at);
            for l in 0..L {
                out[l] += (self.value)(inputs.map(|input| input[l]), factors.map(|factor| factor[l]));
            }
            self.out[at..at + L].copy_from_slice(&out);
        }
    }
}

/// Adds two terms of each pixel to `sums`.
struct ChannelSums<'a, const N: usize, F> {
    channels: usize,
    /// `[pixels, C]` each.
    inputs: [&'a [f32]; N],
    /// Argument of `term` for each channel, `[C]`.
    center: &'a [f32],
    term: F,
    /// `[C]` each.
    sums: [&'a mut [f32]; 2],
}

impl<const N: usize, F: Fn([f32; N], f32) -> [f32; 2]> ChannelKernel for ChannelSums<'_, N, F> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn run_channels<const L: usize, const FMA: bool>(&mut self, first: usize) {
        let center: [f32; L] = simd::load(self.center, first);
        let mut sums = [[0.0f32; L]; 2];
        for at in (first..self.inputs[0].len()).step_by(self.channels) {
            let inputs = self.inputs.map(|input| simd::load::<L>(input, at));
            for l in 0..L {
                let [a, b] = (self.term)(inputs.map(|input| input[l]), center[l]);
                sums[0][l] += a;
                sums[1][l] += b;
            }
        }
        for (row, new) in self.sums.iter_mut().zip(&sums) {
            row[first..first + L].iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        }
    }
}
