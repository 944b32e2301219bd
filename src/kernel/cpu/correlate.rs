//! The inner loop of convolutions and of their input gradients.

// Loops over small arrays, unrolled by their constant bounds: iterators over them are not always inlined, and closures alone
// have no AVX.
#![allow(clippy::needless_range_loop)]

use std::sync::Arc;

use rayon::prelude::*;

use crate::platform::simd::{self, Vector, VectorKernel};

/// Pixels and vectors of output channels of a register tile: `P * V` accumulators, `V` vectors of weights and one
/// broadcast input fill the 16 registers of AVX2. (AVX-512 was tried: equal, its units are these.) WebAssembly
/// has 4: V8 keeps 15 registers on x86-64, LLVM broadcasts all inputs before it multiplies and a product takes one more, so
/// that 6 are spilled (26 GFLOP/s instead of 39). Unrolling lets LLVM broadcast even more of them ahead.
pub const P: usize = if cfg!(target_arch = "wasm32") { 4 } else { 6 };
const V: usize = 2;
/// Floats of a block with the widest vectors.
const MOST: usize = V * 8;
/// Floats of a cache line.
const LINE: usize = 16;
/// Pixels where few channels are left.
const NARROW_P: usize = 8;

/// What some output pixels see.
pub struct Pixels {
    /// The runs of inputs that a pixel sees: how far from its first input each begins in the window, and its length. Taps
    /// that lie side by side are one run.
    pub runs: Vec<(usize, usize)>,
    /// Of each pixel of a unit: where its inputs begin in the window,
    pub inputs: Vec<usize>,
    /// and where its outputs do in the unit.
    pub outputs: Vec<usize>,
    /// Output channels.
    pub channels: usize,
}

/// Output pixels that all see the same taps.
pub struct Phase {
    pixels: Pixels,
    /// `[blocks of output channels][inputs][channels of the block]`, zero beyond the last channel.
    weights: Arc<Vec<f32>>,
}

/// Channels of the blocks that `channels` are computed in, one after the other.
pub fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    let lanes = simd::lanes();
    (0..channels).step_by(V * lanes).map(move |first| if channels - first > lanes { V * lanes } else { lanes })
}

impl Phase {
    /// `taps`, in the order of the window: where each begins, and its index in the weights of an output and an input;
    /// `pixels`: inputs and outputs.
    pub fn new(
        taps: &[(usize, usize)],
        [cin, cout]: [usize; 2],
        pixels: impl Iterator<Item = (usize, usize)>,
        weights: Arc<Vec<f32>>,
    ) -> Self {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &(start, _) in taps {
            match runs.last_mut() {
                Some((first, length)) if *first + *length == start => *length += cin,
                _ => runs.push((start, cin)),
            }
        }
        let (inputs, outputs) = pixels.unzip();
        Self { pixels: Pixels { runs, inputs, outputs, channels: cout }, weights }
    }

    /// The weights of these taps in the order of [`Phase`], from those of an output and an input.
    pub fn pack<'a>(
        taps: &[(usize, usize)],
        [cin, cout]: [usize; 2],
        weights_of: impl Fn(usize, usize) -> &'a [f32] + Sync,
    ) -> Vec<f32> {
        let widths: Vec<usize> = blocks(cout).collect();
        let per_channel = taps.len() * cin;
        let mut weights = vec![0.0; widths.iter().sum::<usize>() * per_channel];
        let widest = widths.first().copied().unwrap_or(1);
        let packed = weights.par_chunks_mut((widest * per_channel).max(1)).enumerate();
        packed.for_each(|(block, packed)| {
            let (first, width) = (block * widest, widths[block]);
            // The weights of one input, tap by tap: whole rows at a time, since the taps' rows often share a cache line.
            let mut rows = vec![0.0; taps.len() * width];
            for i in 0..cin {
                for o in first..(first + width).min(cout) {
                    let weights = weights_of(o, i);
                    taps.iter().enumerate().for_each(|(t, (_, tap))| rows[t * width + o - first] = weights[*tap]);
                }
                for (t, row) in rows.chunks_exact(width).enumerate() {
                    packed[(t * cin + i) * width..][..width].copy_from_slice(row);
                }
            }
        });
        weights
    }

    /// Writes the output channels of the first `pixels` pixels, and meanwhile fetches what is `ahead`.
    pub fn run(&self, window: &[f32], pixels: usize, out: &mut [f32], ahead: &[&[f32]]) {
        if !self.pixels.runs.is_empty() {
            simd::run_vectors(Correlate { phase: self, window, count: pixels, out, ahead });
        }
    }
}

struct Correlate<'a> {
    phase: &'a Phase,
    window: &'a [f32],
    count: usize,
    out: &'a mut [f32],
    ahead: &'a [&'a [f32]],
}

impl VectorKernel for Correlate<'_> {
    #[inline(always)]
    fn run<F: Vector>(self) {
        let Self { phase: Phase { pixels, weights }, window, count, out, ahead } = self;
        let per_channel = pixels.runs.iter().map(|(_, length)| length).sum::<usize>();
        let mut weights = &weights[..];
        for first in (0..pixels.channels).step_by(V * F::LANES) {
            let width = if pixels.channels - first > F::LANES { V * F::LANES } else { F::LANES };
            let (block, rest) = weights.split_at(per_channel * width);
            weights = rest;
            correlate_block::<F>(pixels, block, first, window, count, out, if first == 0 { ahead } else { &[] });
        }
    }
}

/// The first `count` pixels of the block of output channels from `first` on.
#[inline(always)]
pub fn correlate_block<F: Vector>(
    pixels: &Pixels,
    weights: &[f32],
    first: usize,
    window: &[f32],
    count: usize,
    out: &mut [f32],
    ahead: &[&[f32]],
) {
    if pixels.channels - first > F::LANES {
        correlate::<F, P, V>(pixels, weights, first, window, count, out, ahead);
    } else {
        correlate::<F, NARROW_P, 1>(pixels, weights, first, window, count, out, ahead);
    }
}

#[inline(always)]
fn correlate<F: Vector, const P: usize, const V: usize>(
    pixels: &Pixels,
    weights: &[f32],
    first: usize,
    window: &[f32],
    count: usize,
    out: &mut [f32],
    ahead: &[&[f32]],
) {
    let Pixels { runs, inputs, outputs, channels } = pixels;
    let block = V * F::LANES;
    let width = block.min(channels - first);
    for start in (0..count).step_by(P) {
        for ahead in ahead {
            let share = |pixel: usize| (ahead.len() * pixel / count).next_multiple_of(LINE);
            (share(start)..share(start + P)).step_by(LINE).for_each(|at| simd::prefetch(ahead, at));
        }
        // Beyond the last pixel: that one again.
        let mut pixels = [0; P];
        for p in 0..P {
            pixels[p] = (start + p).min(count - 1);
        }
        let mut tile = [[F::splat(0.0); V]; P];
        let mut weights = weights;
        for &(begin, length) in runs {
            let (of_run, rest) = weights.split_at(length * block);
            weights = rest;
            let mut x: [&[f32]; P] = [&[]; P];
            for p in 0..P {
                x[p] = &window[inputs[pixels[p]] + begin..][..length];
            }
            for (i, weights) in (0..length).zip(of_run.chunks_exact(block)) {
                let mut vectors = [F::splat(0.0); V];
                for v in 0..V {
                    // SAFETY: a chunk is V vectors.
                    vectors[v] = unsafe { F::load(weights.as_ptr().add(v * F::LANES)) };
                }
                for p in 0..P {
                    let x = F::splat(x[p][i]);
                    for v in 0..V {
                        tile[p][v] = tile[p][v].multiply_add(vectors[v], x);
                    }
                }
            }
        }
        if width == block {
            for p in 0..P {
                let out = &mut out[outputs[pixels[p]] + first..][..block];
                for v in 0..V {
                    // SAFETY: there is room for V vectors.
                    unsafe { tile[p][v].store(out.as_mut_ptr().add(v * F::LANES)) };
                }
            }
        } else {
            for p in 0..P {
                let mut sums = [0.0; MOST];
                for v in 0..V {
                    // SAFETY: V vectors are MOST floats at most.
                    unsafe { tile[p][v].store(sums.as_mut_ptr().add(v * F::LANES)) };
                }
                out[outputs[pixels[p]] + first..][..width].copy_from_slice(&sums[..width]);
            }
        }
    }
}
