//! Weight gradient of a convolution: products of every input channel and tap with every output channel, summed over
//! pixels.

// Index loops over small arrays with constant bounds, which are unrolled. Iterators over such arrays are not always
// inlined, and a closure that is not inlined is compiled without AVX.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::{conv::ConvDims, correlate::P, fused_input::FeatureMaps, window::WorkUnits};
use crate::platform::simd::{self, Vector, VectorKernel};

/// Inputs of a register tile (see [`P`]).
const I: usize = P;
/// Vectors of output channels of a register tile.
const V: usize = 2;
/// Minimum of parallel tasks, if the batch has enough units.
pub const MIN_TASKS: usize = 16;

/// Returns the number of output channels of a block.
pub fn block_width() -> usize {
    V * simd::lanes()
}

/// Computes the gradient `[cout, cin, k, k]` from the input and the gradient of the output, `dy`.
///
/// A task sums one block of output channels over one part of the batch. The parts are added in order, so the result
/// does not depend on the number of threads. With few channels there are many parts with small sums; with many
/// channels, one part.
pub fn run(conv: &ConvDims, maps: &FeatureMaps, dy: &[f32]) -> Vec<f32> {
    let [h, w] = conv.output();
    let (k, cin, cout) = (conv.k, conv.cin, conv.cout);
    let units = WorkUnits::new(conv.batch, [h, w], 1);
    let window = conv.window(&units);
    let inputs: Vec<usize> = conv.input_offsets(&units, &window).collect();
    let width = block_width();
    let blocks = cout.div_ceil(width);
    let count = (conv.batch * h).div_ceil(units.images * units.rows);
    let parts = MIN_TASKS.div_ceil(blocks).min(count);
    let units_per_part = count.div_ceil(parts);
    let task = |task: usize| {
        let (first, block) = (task / blocks * units_per_part, task % blocks);
        let mut sums = vec![0.0; k * k * cin * width];
        let mut buffer = vec![0.0; window.len()];
        let mut dy_block = vec![0.0; units.pixels() * width];
        for unit in first..(first + units_per_part).min(count) {
            let dy = dy[unit * units.pixels() * cout..].chunks_exact(cout).take(units.pixels());
            let pixels = dy.len();
            for (dy_block, dy) in dy_block.chunks_exact_mut(width).zip(dy) {
                let dy = &dy[block * width..];
                let n = dy.len().min(width);
                dy_block[..n].copy_from_slice(&dy[..n]);
            }
            let [image, row] = units.first(unit);
            let images = pixels.div_ceil(units.rows * w);
            let buffer = &mut buffer[..images * window.image_len()];
            window.fill(maps, image, (row * conv.stride) as isize - (k / 2) as isize, buffer);
            let (inputs, dy) = (&inputs[..pixels], &dy_block[..pixels * width]);
            let kernel =
                AddProducts { row_len: window.row_len(), x: buffer, inputs, dy, run: k * cin, sums: &mut sums };
            simd::run_vectors(kernel);
        }
        sums
    };
    let sums: Vec<Vec<f32>> = (0..count.div_ceil(units_per_part) * blocks).into_par_iter().map(task).collect();

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

/// Returns a kernel that adds the products `x^T dy` to `sums`, `[inputs][block_width()]`. `inputs` has the offset of
/// each pixel's inputs in `x`, and `dy` is `[pixels][block_width()]`.
pub fn add_products<'a>(x: &'a [f32], inputs: &'a [usize], dy: &'a [f32], sums: &'a mut [f32]) -> impl VectorKernel {
    AddProducts { row_len: 0, x, inputs, dy, run: sums.len() / block_width(), sums }
}

/// Adds the products of the inputs and the output gradients of some pixels.
struct AddProducts<'a> {
    /// Floats of a row of the window.
    row_len: usize,
    x: &'a [f32],
    /// Offset of each pixel's inputs in `x`.
    inputs: &'a [usize],
    /// `[pixels][V * L]`.
    dy: &'a [f32],
    /// Inputs of one row of the kernel, which are contiguous: k cin.
    run: usize,
    /// `[k][run][V * L]`.
    sums: &'a mut [f32],
}

impl VectorKernel for AddProducts<'_> {
    #[inline(always)]
    fn run<F: Vector>(self) {
        let Self { row_len, x, inputs, dy, run, sums } = self;
        let width = V * F::LANES;
        for (ky, sums) in sums.chunks_exact_mut(run * width).enumerate() {
            let x = &x[ky * row_len..];
            for (i, sums) in sums.chunks_mut(I * width).enumerate() {
                let x = &x[i * I..];
                match sums.len() / width {
                    1 => add_tile::<F, 1>(x, inputs, dy, sums),
                    2 => add_tile::<F, 2>(x, inputs, dy, sums),
                    3 => add_tile::<F, 3>(x, inputs, dy, sums),
                    4 => add_tile::<F, 4>(x, inputs, dy, sums),
                    5 => add_tile::<F, 5>(x, inputs, dy, sums),
                    _ => add_tile::<F, I>(x, inputs, dy, sums),
                }
            }
        }
    }
}

/// Adds the products of `N` inputs of every pixel; they are accumulated in a register tile.
#[inline(always)]
fn add_tile<F: Vector, const N: usize>(x: &[f32], inputs: &[usize], dy: &[f32], sums: &mut [f32]) {
    let width = V * F::LANES;
    let mut tile = [[F::splat(0.0); V]; N];
    for (input, dy) in inputs.iter().zip(dy.chunks_exact(width)) {
        let x = &x[*input..*input + N];
        let mut vectors = [F::splat(0.0); V];
        for v in 0..V {
            // SAFETY: a chunk has V vectors.
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
            // SAFETY: `sums` has N V vectors.
            unsafe {
                let sum = sums.as_mut_ptr().add(n * width + v * F::LANES);
                F::load(sum).add(tile[n][v]).store(sum);
            }
        }
    }
}
