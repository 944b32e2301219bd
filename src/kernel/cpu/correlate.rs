//! The inner loop of convolutions and of their input gradients.

// Index loops over small arrays with constant bounds, which are unrolled. Iterators over such arrays are not always
// inlined, and a closure that is not inlined is compiled without AVX.
#![allow(clippy::needless_range_loop)]

use std::sync::Arc;

use rayon::prelude::*;

use crate::platform::simd::{self, Vector, VectorKernel};

/// Pixels of a register tile, which has `P x V` accumulators: with `V` vectors of weights and one broadcast input they
/// fill the 16 registers of AVX2. AVX-512 was tried and gave no gain. WebAssembly uses 4 pixels: V8 leaves 15 registers
/// on x86-64, LLVM broadcasts all inputs before it multiplies, and a product needs one more register, so 6 pixels spill
/// (26 GFLOP/s instead of 39). Unrolling makes LLVM hoist even more broadcasts.
pub const P: usize = if cfg!(target_arch = "wasm32") { 4 } else { 6 };
/// Vectors of output channels of a register tile.
const V: usize = 2;
/// Maximum of floats of a block of output channels.
const MAX_BLOCK: usize = V * 8;
/// Floats of a cache line.
const CACHE_LINE: usize = 16;
/// Pixels of a register tile for blocks of one vector.
const NARROW_P: usize = 8;

/// Offsets of the input and output of each pixel of a unit.
pub struct PixelOffsets {
    /// Contiguous runs of input that a pixel reads: offset from the first input of the pixel in the window, and length.
    /// Adjacent taps are merged into one run.
    pub runs: Vec<(usize, usize)>,
    /// First input of each pixel in the window.
    pub inputs: Vec<usize>,
    /// First output of each pixel in the unit.
    pub outputs: Vec<usize>,
    /// Output channels.
    pub channels: usize,
}

/// Packed weights of one block of output channels.
#[derive(Clone, Copy)]
pub struct WeightBlock<'a> {
    /// First channel of the block.
    pub first: usize,
    /// `[inputs][channels of the block]`.
    pub values: &'a [f32],
}

/// Convolution for output pixels that all use the same taps.
pub struct Phase {
    pixels: PixelOffsets,
    /// `[blocks of output channels][inputs][channels of the block]`, zero beyond the last channel.
    weights: Arc<Vec<f32>>,
}

/// Returns the widths of the blocks into which `channels` output channels are divided.
pub fn block_widths(channels: usize) -> impl Iterator<Item = usize> {
    let lanes = simd::lanes();
    (0..channels).step_by(V * lanes).map(move |first| if channels - first > lanes { V * lanes } else { lanes })
}

impl Phase {
    /// Prepares a phase.
    ///
    /// `taps`, in the order of the window: the offset of each tap, and its index in the k x k weights of one output and
    /// one input channel. `pixels`: the offsets of each pixel's input and output. `weights`: from [`Phase::pack`].
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
        Self { pixels: PixelOffsets { runs, inputs, outputs, channels: cout }, weights }
    }

    /// Packs the weights of `taps` into the layout of [`Phase`]. `weights_of(o, i)` returns the k x k weights of output
    /// channel o and input channel i.
    pub fn pack<'a>(
        taps: &[(usize, usize)],
        [cin, cout]: [usize; 2],
        weights_of: impl Fn(usize, usize) -> &'a [f32] + Sync,
    ) -> Vec<f32> {
        let widths: Vec<usize> = block_widths(cout).collect();
        let per_channel = taps.len() * cin;
        let mut weights = vec![0.0; widths.iter().sum::<usize>() * per_channel];
        let widest = widths.first().copied().unwrap_or(1);
        let packed = weights.par_chunks_mut((widest * per_channel).max(1)).enumerate();
        packed.for_each(|(block, packed)| {
            let (first, width) = (block * widest, widths[block]);
            // The weights of one input channel, by tap. They are then copied row by row: taps often share a cache line.
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

    /// Writes the output channels of the first `count` pixels; the slices of `prefetch` are prefetched during the
    /// computation.
    pub fn run(&self, window: &[f32], count: usize, out: &mut [f32], prefetch: &[&[f32]]) {
        if !self.pixels.runs.is_empty() {
            simd::run_vectors(PhaseKernel { phase: self, window, count, out, prefetch });
        }
    }
}

struct PhaseKernel<'a> {
    phase: &'a Phase,
    window: &'a [f32],
    /// Pixels.
    count: usize,
    out: &'a mut [f32],
    prefetch: &'a [&'a [f32]],
}

impl VectorKernel for PhaseKernel<'_> {
    #[inline(always)]
    fn run<F: Vector>(self) {
        let Self { phase: Phase { pixels, weights }, window, count, out, prefetch } = self;
        let per_channel = pixels.runs.iter().map(|(_, length)| length).sum::<usize>();
        let mut weights = &weights[..];
        for first in (0..pixels.channels).step_by(V * F::LANES) {
            let width = if pixels.channels - first > F::LANES { V * F::LANES } else { F::LANES };
            let (values, rest) = weights.split_at(per_channel * width);
            weights = rest;
            let block = WeightBlock { first, values };
            correlate_block::<F>(pixels, block, window, count, out, if first == 0 { prefetch } else { &[] });
        }
    }
}

/// Computes one block of output channels for the first `count` pixels.
#[inline(always)]
pub fn correlate_block<F: Vector>(
    pixels: &PixelOffsets,
    block: WeightBlock,
    window: &[f32],
    count: usize,
    out: &mut [f32],
    prefetch: &[&[f32]],
) {
    if pixels.channels - block.first > F::LANES {
        correlate::<F, P, V>(pixels, block, window, count, out, prefetch);
    } else {
        correlate::<F, NARROW_P, 1>(pixels, block, window, count, out, prefetch);
    }
}

#[inline(always)]
fn correlate<F: Vector, const P: usize, const V: usize>(
    pixels: &PixelOffsets,
    WeightBlock { first, values: weights }: WeightBlock,
    window: &[f32],
    count: usize,
    out: &mut [f32],
    prefetch: &[&[f32]],
) {
    let PixelOffsets { runs, inputs, outputs, channels } = pixels;
    let block = V * F::LANES;
    let width = block.min(channels - first);
    for start in (0..count).step_by(P) {
        for slice in prefetch {
            let share = |pixel: usize| (slice.len() * pixel / count).next_multiple_of(CACHE_LINE);
            (share(start)..share(start + P)).step_by(CACHE_LINE).for_each(|at| simd::prefetch(slice, at));
        }
        // The last tile repeats the last pixel.
        let mut pixels = [0; P];
        for p in 0..P {
            pixels[p] = (start + p).min(count - 1);
        }
        let mut tile = [[F::splat(0.0); V]; P];
        let mut weights = weights;
        for &(begin, length) in runs {
            let (run_weights, rest) = weights.split_at(length * block);
            weights = rest;
            let mut x: [&[f32]; P] = [&[]; P];
            for p in 0..P {
                x[p] = &window[inputs[pixels[p]] + begin..][..length];
            }
            for (i, weights) in (0..length).zip(run_weights.chunks_exact(block)) {
                let mut vectors = [F::splat(0.0); V];
                for v in 0..V {
                    // SAFETY: a chunk has V vectors.
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
                    // SAFETY: `out` has V vectors.
                    unsafe { tile[p][v].store(out.as_mut_ptr().add(v * F::LANES)) };
                }
            }
        } else {
            for p in 0..P {
                let mut sums = [0.0; MAX_BLOCK];
                for v in 0..V {
                    // SAFETY: V vectors have at most MAX_BLOCK floats.
                    unsafe { tile[p][v].store(sums.as_mut_ptr().add(v * F::LANES)) };
                }
                out[outputs[pixels[p]] + first..][..width].copy_from_slice(&sums[..width]);
            }
        }
    }
}
