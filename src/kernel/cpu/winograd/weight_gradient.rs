//! Weight gradient by Winograd's algorithm.

// Index loops over small arrays with constant bounds, which are unrolled. Iterators over such arrays are not always
// inlined, and a closure that is not inlined is compiled without AVX.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use rayon::prelude::*;

use super::{
    F, Tiles, TransformInputs, matrix_stride,
    transform::{load, output_gradient_transform, store, transform_2d, weight_gradient_transform},
};
use crate::{
    kernel::cpu::{
        conv::ConvDims,
        fused_input::FeatureMaps,
        weight_gradient::{MIN_TASKS, add_products, block_width},
        window::WorkUnits,
    },
    platform::simd::{self, Vector, VectorKernel},
};

/// Maximum of floats of the partial sums of all parts.
const MAX_SUMS: usize = 1 << 21;

/// Computes the gradient `[cout, cin, 3, 3]`: the products of transformed inputs and transformed output gradients are
/// summed over all tiles and transformed back.
///
/// A task sums some blocks of output channels over one part of the batch. The parts are added in order, so the result
/// does not depend on the number of threads.
pub fn weight_gradient(conv: &ConvDims, maps: &FeatureMaps, dy: &[f32]) -> Vec<f32> {
    let (cin, cout) = (conv.cin, conv.cout);
    let units = WorkUnits::new(conv.batch, [conv.h, conv.w], 2);
    let window = conv.window(&units);
    let tiles = Tiles::new(window, &units);
    let max_tiles = tiles.count(units.images);
    let inputs: Vec<usize> = (0..max_tiles).map(|tile| tile * cin).collect();
    let width = block_width();
    let blocks = cout.div_ceil(width);
    let count = (conv.batch * conv.h).div_ceil(units.images * units.rows);
    let wanted_parts = (MAX_SUMS / (F * cin * cout)).clamp(1, MIN_TASKS).min(count);
    let units_per_part = count.div_ceil(wanted_parts);
    let parts = count.div_ceil(units_per_part);
    // Each task computes a group of blocks.
    let group = blocks.div_ceil(MIN_TASKS.div_ceil(parts)).max(1);
    let groups = blocks.div_ceil(group);
    let task = |task: usize| {
        let (first, first_block) = (task / groups * units_per_part, task % groups * group);
        let blocks = first_block..(first_block + group).min(blocks);
        let mut sums = vec![0.0; blocks.len() * F * cin * width];
        let mut buffer = vec![0.0; window.len()];
        let mut transformed = vec![0.0; F * matrix_stride(max_tiles, cin)];
        let mut transformed_dy = vec![0.0; F * matrix_stride(max_tiles, width)];
        for unit in first..(first + units_per_part).min(count) {
            let [image, row] = units.first(unit);
            let images = units.images.min(conv.batch - image);
            let unit_tiles = tiles.count(images);
            let buffer = &mut buffer[..images * window.image_len()];
            window.fill(maps, image, row as isize - 1, buffer);
            simd::run_vectors(TransformInputs {
                tiles: &tiles,
                range: 0..unit_tiles,
                stride: matrix_stride(max_tiles, cin),
                window: buffer,
                channels: cin,
                out: &mut transformed,
            });
            let dy = &dy[unit * units.pixels() * cout..];
            for (block, sums) in blocks.clone().zip(sums.chunks_exact_mut(F * cin * width)) {
                simd::run_vectors(TransformGradients {
                    tiles: &tiles,
                    count: unit_tiles,
                    stride: matrix_stride(max_tiles, width),
                    dy,
                    channels: cout,
                    block: block * width..((block + 1) * width).min(cout),
                    width,
                    out: &mut transformed_dy,
                });
                for (f, sums) in sums.chunks_exact_mut(cin * width).enumerate() {
                    let x = &transformed[f * matrix_stride(max_tiles, cin)..];
                    let dy = &transformed_dy[f * matrix_stride(max_tiles, width)..][..unit_tiles * width];
                    simd::run_vectors(add_products(x, &inputs[..unit_tiles], dy, sums));
                }
            }
        }
        sums
    };
    let sums: Vec<Vec<f32>> = (0..parts * groups).into_par_iter().map(task).collect();

    let mut total = vec![0.0; cout * cin * 9];
    total.par_chunks_mut(width * cin * 9).enumerate().for_each(|(block, total)| {
        let parts = || {
            let at = block % group * F * cin * width;
            sums[block / group..].iter().step_by(groups).map(move |sums| &sums[at..][..F * cin * width])
        };
        let mut column = vec![0.0; 9 * width];
        for i in 0..cin {
            simd::run_vectors(TransformBack { parts: parts().collect(), width, cin, i, out: &mut column });
            for (o, total) in total.chunks_exact_mut(cin * 9).enumerate() {
                (0..9).for_each(|t| total[i * 9 + t] = column[t * width + o]);
            }
        }
    });
    total
}

/// Transforms the output gradients of one block of channels.
struct TransformGradients<'a> {
    tiles: &'a Tiles,
    /// Number of tiles.
    count: usize,
    /// Distance of the transformed matrices.
    stride: usize,
    /// Gradient of the output, `[images, rows, columns, channels]`.
    dy: &'a [f32],
    channels: usize,
    /// Channels of the block.
    block: Range<usize>,
    /// Channels of a full block.
    width: usize,
    /// `[F][count][width]`
    out: &'a mut [f32],
}

impl VectorKernel for TransformGradients<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, count, stride, dy, channels, block, width, out } = self;
        let row_len = tiles.size[1] * channels;
        for tile in 0..count {
            let dy = &dy[tiles.output(tile, channels)..];
            for first in block.clone().step_by(V::LANES) {
                let transformed = transform_2d(load::<2, V>(dy, first, [row_len, channels]), output_gradient_transform);
                store(transformed, out, tile * width + first - block.start, [4 * stride, stride]);
            }
        }
    }
}

/// Adds the sums of all parts for one input channel and transforms them to gradients of weights.
struct TransformBack<'a> {
    /// `[F][cin][width]` each.
    parts: Vec<&'a [f32]>,
    width: usize,
    cin: usize,
    /// Input channel.
    i: usize,
    /// `[9][width]`
    out: &'a mut [f32],
}

impl VectorKernel for TransformBack<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { parts, width, cin, i, out } = self;
        let strides = [4 * cin * width, cin * width];
        for first in (0..width).step_by(V::LANES) {
            let at = i * width + first;
            let Some((part, others)) = parts.split_first() else { return };
            let mut sums = load::<4, V>(part, at, strides);
            for part in others {
                let part = load::<4, V>(part, at, strides);
                for y in 0..4 {
                    for x in 0..4 {
                        sums[y][x] = sums[y][x].add(part[y][x]);
                    }
                }
            }
            store(transform_2d(sums, weight_gradient_transform), out, first, [3 * width, width]);
        }
    }
}
