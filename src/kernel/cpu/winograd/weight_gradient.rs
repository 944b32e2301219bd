//! The gradient of the weight.

// Loops over small arrays, unrolled by their constant bounds: iterators over them are not always inlined, and closures alone
// have no AVX.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use rayon::prelude::*;

use super::{
    F, Tiles, TransformInputs, stride,
    transform::{both, load, of_output, store, to_weight},
};
use crate::{
    kernel::cpu::{
        conv::Conv,
        maps::Maps,
        weight_gradient::{self, tiles_of},
        window::Units,
    },
    platform::simd::{self, Vector, VectorKernel},
};

/// How many floats the sums of all parts of a batch may take.
const SUMS: usize = 1 << 21;

/// The gradient of the weight, `[cout, cin, 3, 3]`: the sum over tiles of the products of transformed inputs and transformed
/// gradients, taken back.
///
/// A task sums some blocks of output channels over one part of the batch; parts are added up in order, so that the result
/// does not depend on the threads.
pub fn weight_gradient(conv: &Conv, maps: &Maps, dy: &[f32]) -> Vec<f32> {
    let (cin, cout) = (conv.cin, conv.cout);
    let units = Units::new(conv.batch, [conv.h, conv.w], 2);
    let window = conv.window(&units);
    let tiles = Tiles::new(window, &units);
    let most = tiles.count(units.images);
    let inputs: Vec<usize> = (0..most).map(|tile| tile * cin).collect();
    let width = weight_gradient::width();
    let blocks = cout.div_ceil(width);
    let count = (conv.batch * conv.h).div_ceil(units.images * units.rows);
    let parts = (SUMS / (F * cin * cout)).clamp(1, weight_gradient::TASKS).min(count);
    let part = count.div_ceil(parts);
    let parts = count.div_ceil(part);
    let group = blocks.div_ceil(weight_gradient::TASKS.div_ceil(parts)).max(1);
    let groups = blocks.div_ceil(group);
    let task = |task: usize| {
        let (first, blocks) =
            (task / groups * part, task % groups * group..(task % groups * group + group).min(blocks));
        let mut sums = vec![0.0; blocks.len() * F * cin * width];
        let mut buffer = vec![0.0; window.len()];
        let mut transformed = vec![0.0; F * stride(most, cin)];
        let mut dys = vec![0.0; F * stride(most, width)];
        for unit in first..(first + part).min(count) {
            let [image, row] = units.first(unit);
            let images = units.images.min(conv.batch - image);
            let tiles_now = tiles.count(images);
            let buffer = &mut buffer[..images * window.image()];
            window.fill(maps, image, row as isize - 1, buffer);
            simd::run_vectors(TransformInputs {
                tiles: &tiles,
                some: 0..tiles_now,
                stride: stride(most, cin),
                window: buffer,
                channels: cin,
                out: &mut transformed,
            });
            let dy = &dy[unit * units.pixels() * cout..];
            for (block, sums) in blocks.clone().zip(sums.chunks_exact_mut(F * cin * width)) {
                let from = block * width..((block + 1) * width).min(cout);
                simd::run_vectors(TransformGradients {
                    tiles: &tiles,
                    some: 0..tiles_now,
                    stride: stride(most, width),
                    dy,
                    channels: cout,
                    from,
                    width,
                    out: &mut dys,
                });
                for (f, sums) in sums.chunks_exact_mut(cin * width).enumerate() {
                    let x = &transformed[f * stride(most, cin)..];
                    let dys = &dys[f * stride(most, width)..][..tiles_now * width];
                    simd::run_vectors(tiles_of(x, &inputs[..tiles_now], dys, sums));
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
            simd::run_vectors(TakeWeights { parts: parts().collect(), width, cin, i, out: &mut column });
            for (o, total) in total.chunks_exact_mut(cin * 9).enumerate() {
                (0..9).for_each(|t| total[i * 9 + t] = column[t * width + o]);
            }
        }
    });
    total
}

struct TransformGradients<'a> {
    tiles: &'a Tiles,
    some: Range<usize>,
    /// Of the transformed matrices.
    stride: usize,
    dy: &'a [f32],
    channels: usize,
    /// The channels that are looked at.
    from: Range<usize>,
    width: usize,
    /// `[F][count][width]`
    out: &'a mut [f32],
}

impl VectorKernel for TransformGradients<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, some, stride, dy, channels, from, width, out } = self;
        let row = tiles.size[1] * channels;
        for (i, tile) in some.enumerate() {
            let dy = &dy[tiles.output(tile, channels)..];
            for first in from.clone().step_by(V::LANES) {
                let transformed = both(load::<2, V>(dy, first, [row, channels]), of_output);
                store(transformed, out, i * width + first - from.start, [4 * stride, stride]);
            }
        }
    }
}

/// The weights of one input, `[9][width]`, from the sums of all parts, `[F][cin][width]`.
struct TakeWeights<'a> {
    parts: Vec<&'a [f32]>,
    width: usize,
    cin: usize,
    i: usize,
    out: &'a mut [f32],
}

impl VectorKernel for TakeWeights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { parts, width, cin, i, out } = self;
        let size = [4 * cin * width, cin * width];
        for first in (0..width).step_by(V::LANES) {
            let at = i * width + first;
            let Some((part, others)) = parts.split_first() else { return };
            let mut sums = load::<4, V>(part, at, size);
            for part in others {
                let part = load::<4, V>(part, at, size);
                for y in 0..4 {
                    for x in 0..4 {
                        sums[y][x] = sums[y][x].add(part[y][x]);
                    }
                }
            }
            store(both(sums, to_weight), out, first, [3 * width, width]);
        }
    }
}
