//! The gradient of a convolution's weight: products of every input with every output channel, summed over pixels.

// Loops over small arrays, unrolled by their constant bounds: iterators over them are not always inlined, and closures alone
// have no AVX.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::{conv::Conv, correlate::P, maps::Maps, window::Units};
use crate::platform::simd::{self, Vector, VectorKernel};

/// Inputs and vectors of output channels of a register tile (see [`super::correlate`]).
const I: usize = P;
const V: usize = 2;
/// How many tasks there are at least, if there are as many images.
pub const TASKS: usize = 16;

/// Output channels of a block.
pub fn width() -> usize {
    V * simd::lanes()
}

/// A task sums one block of output channels over one part of the batch; parts are added up in order, so that the result
/// does not depend on the threads. Few channels: many parts, and small sums; many channels: one part.
pub fn run(conv: &Conv, maps: &Maps, dy: &[f32]) -> Vec<f32> {
    let [h, w] = conv.output();
    let (k, cin, cout) = (conv.k, conv.cin, conv.cout);
    let units = Units::new(conv.batch, [h, w], 1);
    let window = conv.window(&units);
    let inputs: Vec<usize> = conv.inputs(&units, &window).collect();
    let width = width();
    let blocks = cout.div_ceil(width);
    let count = (conv.batch * h).div_ceil(units.images * units.rows);
    let parts = TASKS.div_ceil(blocks).min(count);
    let part = count.div_ceil(parts);
    let task = |task: usize| {
        let (first, block) = (task / blocks * part, task % blocks);
        let mut sums = vec![0.0; k * k * cin * width];
        let mut buffer = vec![0.0; window.len()];
        let mut dys = vec![0.0; units.pixels() * width];
        for unit in first..(first + part).min(count) {
            let dy = dy[unit * units.pixels() * cout..].chunks_exact(cout).take(units.pixels());
            let pixels = dy.len();
            for (dys, dy) in dys.chunks_exact_mut(width).zip(dy) {
                let dy = &dy[block * width..];
                let n = dy.len().min(width);
                dys[..n].copy_from_slice(&dy[..n]);
            }
            let [image, row] = units.first(unit);
            let images = pixels.div_ceil(units.rows * w);
            let buffer = &mut buffer[..images * window.image()];
            window.fill(maps, image, (row * conv.stride) as isize - (k / 2) as isize, buffer);
            let (inputs, dys) = (&inputs[..pixels], &dys[..pixels * width]);
            simd::run_vectors(Sums { row: window.row(), x: buffer, inputs, dys, run: k * cin, sums: &mut sums });
        }
        sums
    };
    let sums: Vec<Vec<f32>> = (0..count.div_ceil(part) * blocks).into_par_iter().map(task).collect();

    let mut total = vec![0.0; cout * cin * k * k];
    total.par_chunks_mut(width * cin * k * k).enumerate().for_each(|(block, total)| {
        for sums in sums[block..].iter().step_by(blocks) {
            for i in 0..cin {
                for (o, total) in total.chunks_exact_mut(cin * k * k).enumerate() {
                    for (t, total) in total[i * k * k..][..k * k].iter_mut().enumerate() {
                        *total += sums[(t * cin + i) * width + o];
                    }
                }
            }
        }
    });
    total
}

/// Adds to `sums`, `[inputs][width]`, the products of some pixels, whose inputs lie side by side in `x`.
pub fn tiles_of<'a>(x: &'a [f32], inputs: &'a [usize], dys: &'a [f32], sums: &'a mut [f32]) -> impl VectorKernel {
    Sums { row: 0, x, inputs, dys, run: sums.len() / width(), sums }
}

/// Adds the products of some pixels.
struct Sums<'a> {
    /// Floats from one row of the window to the next.
    row: usize,
    x: &'a [f32],
    /// Where each pixel's inputs begin in `x`.
    inputs: &'a [usize],
    /// `[pixels][V * L]`.
    dys: &'a [f32],
    /// The inputs of one row of the kernel, which lie side by side: k cin.
    run: usize,
    /// `[k][run][V * L]`.
    sums: &'a mut [f32],
}

impl VectorKernel for Sums<'_> {
    #[inline(always)]
    fn run<F: Vector>(self) {
        let Self { row, x, inputs, dys, run, sums } = self;
        let width = V * F::LANES;
        for (ky, sums) in sums.chunks_exact_mut(run * width).enumerate() {
            let x = &x[ky * row..];
            for (i, sums) in sums.chunks_mut(I * width).enumerate() {
                let x = &x[i * I..];
                match sums.len() / width {
                    1 => tile::<F, 1>(x, inputs, dys, sums),
                    2 => tile::<F, 2>(x, inputs, dys, sums),
                    3 => tile::<F, 3>(x, inputs, dys, sums),
                    4 => tile::<F, 4>(x, inputs, dys, sums),
                    5 => tile::<F, 5>(x, inputs, dys, sums),
                    _ => tile::<F, I>(x, inputs, dys, sums),
                }
            }
        }
    }
}

/// `N` inputs of every pixel.
#[inline(always)]
fn tile<F: Vector, const N: usize>(x: &[f32], inputs: &[usize], dys: &[f32], sums: &mut [f32]) {
    let width = V * F::LANES;
    let mut tile = [[F::splat(0.0); V]; N];
    for (input, dy) in inputs.iter().zip(dys.chunks_exact(width)) {
        let x = &x[*input..*input + N];
        let mut vectors = [F::splat(0.0); V];
        for v in 0..V {
            // SAFETY: a chunk is V vectors.
            vectors[v] = unsafe { F::load(dy.as_ptr().add(v * F::LANES)) };
        }
        for n in 0..N {
            let x = F::splat(x[n]);
            for v in 0..V {
                tile[n][v] = tile[n][v].multiply_add(vectors[v], x);
            }
        }
    }
    let sums = &mut sums[..N * width];
    for n in 0..N {
        for v in 0..V {
            // SAFETY: there are N V vectors.
            unsafe {
                let sum = sums.as_mut_ptr().add(n * width + v * F::LANES);
                F::load(sum).add(tile[n][v]).store(sum);
            }
        }
    }
}
