//! 3x3 convolutions of stride 1 with 4 products a pixel instead of 9 (Lavin and Gray, 2016, F(2x2, 3x3)).
//!
//! A tile is 2x2 output pixels and the 4x4 input pixels that they see. Inputs, weights and outputs are taken to a space
//! where convolution is 16 products of matrices, `[tiles, inputs] [inputs, outputs]`. With channels last the ways there and
//! back are sums of whole vectors. Its constants are 0, 1 and 1/2: no digits are lost to speak of.

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    conv::Conv,
    correlate::{P, Pixels, blocks, correlate_block},
    maps::Maps,
    weight_gradient::{self, tiles_of},
    window::{Units, Window},
};
use crate::platform::simd::{self, Vector, VectorKernel};

/// Products of matrices.
const F: usize = 16;

/// Whether a convolution can be computed so: tiles fill its maps, vectors its channels.
pub fn fits(conv: &Conv) -> bool {
    let even = [conv.h, conv.w].iter().all(|n| n.is_multiple_of(2));
    let whole = [conv.cin, conv.cout].iter().all(|n| n.is_multiple_of(8));
    conv.k == 3 && conv.stride == 1 && even && whole
}

/// The tiles of a unit of work.
#[derive(Clone, Copy)]
struct Tiles {
    window: Window,
    /// Rows and columns of output pixels of a picture of the unit.
    size: [usize; 2],
}

impl Tiles {
    fn new(window: Window, units: &Units) -> Self {
        Self { window, size: [units.rows, units.size[1]] }
    }

    /// Of so many pictures.
    fn count(&self, pictures: usize) -> usize {
        pictures * self.size[0] * self.size[1] / 4
    }

    /// Picture, row and column of a tile's first output pixel.
    fn pixel(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.size.map(|n| n / 2);
        [tile / (rows * columns), tile / columns % rows * 2, tile % columns * 2]
    }

    /// Where in the window a tile's inputs begin.
    fn input(&self, tile: usize) -> usize {
        let [picture, y, x] = self.pixel(tile);
        picture * self.window.picture() + y * self.window.row() + x * self.window.source[2]
    }

    /// Where in the unit, of so many channels, a tile's outputs begin.
    fn output(&self, tile: usize, channels: usize) -> usize {
        let [picture, y, x] = self.pixel(tile);
        ((picture * self.size[0] + y) * self.size[1] + x) * channels
    }
}

/// Applies a map of `I` to `O` values to the columns and then to the rows of a matrix of vectors.
///
/// Loops, here and below, because the closures of `array::from_fn` are not always inlined, and alone they have no AVX.
#[inline(always)]
fn both<const I: usize, const O: usize, V: Vector>(matrix: [[V; I]; I], map: impl Fn([V; I]) -> [V; O]) -> [[V; O]; O] {
    let any = matrix[0][0];
    let mut columns = [[any; O]; I];
    for x in 0..I {
        let mut column = [any; I];
        for y in 0..I {
            column[y] = matrix[y][x];
        }
        columns[x] = map(column);
    }
    let mut rows = [[any; O]; O];
    for y in 0..O {
        let mut row = [any; I];
        for x in 0..I {
            row[x] = columns[x][y];
        }
        rows[y] = map(row);
    }
    rows
}

/// A square of vectors, whose rows are `row` floats apart and whose columns `column`.
#[inline(always)]
fn load<const N: usize, V: Vector>(from: &[f32], at: usize, [row, column]: [usize; 2]) -> [[V; N]; N] {
    // One check for all of them, which are half of this work.
    let from = &from[at..at + (N - 1) * (row + column) + V::LANES];
    // SAFETY: no vector ends beyond the last one's end, and the first one begins where they do.
    unsafe {
        let mut square = [[V::load(from.as_ptr()); N]; N];
        for y in 0..N {
            for x in 0..N {
                square[y][x] = V::load(from.as_ptr().add(y * row + x * column));
            }
        }
        square
    }
}

#[inline(always)]
fn store<const N: usize, V: Vector>(square: [[V; N]; N], to: &mut [f32], at: usize, [row, column]: [usize; 2]) {
    let to = &mut to[at..at + (N - 1) * (row + column) + V::LANES];
    for y in 0..N {
        for x in 0..N {
            // SAFETY: no vector ends beyond the last one's end.
            unsafe { square[y][x].store(to.as_mut_ptr().add(y * row + x * column)) };
        }
    }
}

/// B^T
#[inline(always)]
fn of_input<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// A^T
#[inline(always)]
fn to_output<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// A
#[inline(always)]
fn of_output<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), b.mul(V::splat(-1.0))]
}

/// G
#[inline(always)]
fn of_weight<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    let (ends, half) = (a.add(c), V::splat(0.5));
    [a, ends.add(b).mul(half), ends.sub(b).mul(half), c]
}

/// G^T
#[inline(always)]
fn to_weight<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    let half = V::splat(0.5);
    let sum = b.add(c).mul(half);
    [a.add(sum), b.sub(c).mul(half), sum.add(d)]
}

/// Floats from one of the `F` matrices of `rows x columns` to the next: a cache line more than it has, since at the same
/// place in all of them, powers of two apart, they would fight for one set of the cache.
fn stride(rows: usize, columns: usize) -> usize {
    rows * columns + 16
}

/// What a thread needs for a unit.
pub struct Scratch {
    /// `[F][tiles][inputs]`
    inputs: Vec<f32>,
    /// `[F][tiles][outputs]`
    products: Vec<f32>,
}

/// Tiles that are transformed at once: where the weights fit the second cache, so many that the matrices stay near.
fn at_once([cin, cout]: [usize; 2]) -> usize {
    if F * cin * cout > 1 << 17 { usize::MAX } else { ((1 << 15) / (F * (cin + cout))).next_multiple_of(P) }
}

/// A convolution, its weights transformed.
pub struct Winograd {
    tiles: Tiles,
    /// Tiles that are transformed at once.
    count: usize,
    channels: [usize; 2],
    /// `[blocks of output channels][F][inputs][channels of the block]`.
    weights: Arc<Vec<f32>>,
    pixels: Pixels,
}

impl Winograd {
    pub fn new(window: Window, units: &Units, channels: [usize; 2], weights: Arc<Vec<f32>>) -> Self {
        let [cin, cout] = channels;
        let tiles = Tiles::new(window, units);
        let count = at_once(channels).min(tiles.count(units.pictures));
        let pixels = Pixels {
            runs: vec![(0, cin)],
            inputs: (0..count).map(|tile| tile * cin).collect(),
            outputs: (0..count).map(|tile| tile * cout).collect(),
            channels: cout,
        };
        Self { tiles, count, channels, weights, pixels }
    }

    /// The transformed weights in the order of [`Winograd`], from those of an output and an input, of which number
    /// `tap(t)` belongs to tap t of the window.
    pub fn pack<'a>(
        [cin, cout]: [usize; 2],
        weights_of: impl Fn(usize, usize) -> &'a [f32] + Sync,
        tap: impl Fn(usize) -> usize + Sync,
    ) -> Vec<f32> {
        let widest = blocks(cout).next().unwrap_or(1);
        let mut weights = vec![0.0; blocks(cout).map(|width| F * stride(cin, width)).sum()];
        weights.par_chunks_mut(F * stride(cin, widest)).enumerate().for_each(|(block, packed)| {
            let width = widest.min(cout - block * widest);
            let mut rows = vec![0.0; 9 * width];
            for i in 0..cin {
                for o in 0..width {
                    let weights = weights_of(block * widest + o, i);
                    (0..9).for_each(|t| rows[t * width + o] = weights[tap(t)]);
                }
                simd::run_vectors(PackWeights { rows: &rows, width, cin, packed: &mut packed[i * width..] });
            }
        });
        weights
    }

    pub fn scratch(&self) -> Scratch {
        let [inputs, products] = self.channels.map(|channels| vec![0.0; F * stride(self.count, channels)]);
        Scratch { inputs, products }
    }

    /// Writes the outputs of so many pictures, and meanwhile fetches what is `ahead`.
    pub fn run(&self, window: &[f32], pictures: usize, scratch: &mut Scratch, out: &mut [f32], ahead: &[&[f32]]) {
        let [cin, cout] = self.channels;
        let all = self.tiles.count(pictures);
        for first in (0..all).step_by(self.count) {
            let tiles = &self.tiles;
            let some = first..(first + self.count).min(all);
            let part = |ahead: &'_ [f32]| [some.start, some.end].map(|tile| ahead.len() * tile / all);
            let ahead = |i: usize| ahead.get(i).map_or(&[][..], |ahead| &ahead[part(ahead)[0]..part(ahead)[1]]);
            let ahead = [ahead(0), ahead(1), ahead(2)];
            let (some, count) = (some.clone(), some.len());
            let (stride_in, stride_out) = (stride(self.count, cin), stride(self.count, cout));
            let to = &mut scratch.inputs;
            simd::run_vectors(TransformInputs {
                tiles,
                some: some.clone(),
                stride: stride_in,
                window,
                channels: cin,
                out: to,
            });
            simd::run_vectors(Multiply { winograd: self, tiles: count, scratch, ahead: &ahead });
            let products = &scratch.products;
            simd::run_vectors(TransformOutputs { tiles, some, stride: stride_out, products, channels: cout, out });
        }
    }
}

struct PackWeights<'a> {
    /// `[9][width]`
    rows: &'a [f32],
    width: usize,
    cin: usize,
    /// From this input on.
    packed: &'a mut [f32],
}

impl VectorKernel for PackWeights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { rows, width, cin, packed } = self;
        for first in (0..width).step_by(V::LANES) {
            let transformed = both(load::<3, V>(rows, first, [3 * width, width]), of_weight);
            store(transformed, packed, first, [4 * stride(cin, width), stride(cin, width)]);
        }
    }
}

struct TransformInputs<'a> {
    tiles: &'a Tiles,
    some: Range<usize>,
    /// Of the transformed matrices.
    stride: usize,
    window: &'a [f32],
    channels: usize,
    /// `[F][count][channels]`
    out: &'a mut [f32],
}

impl VectorKernel for TransformInputs<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, some, stride, window, channels, out } = self;
        let row = tiles.window.row();
        for (i, tile) in some.enumerate() {
            let window = &window[tiles.input(tile)..];
            for first in (0..channels).step_by(V::LANES) {
                let transformed = both(load::<4, V>(window, first, [row, channels]), of_input);
                store(transformed, out, i * channels + first, [4 * stride, stride]);
            }
        }
    }
}

struct Multiply<'a> {
    winograd: &'a Winograd,
    tiles: usize,
    scratch: &'a mut Scratch,
    ahead: &'a [&'a [f32]],
}

impl VectorKernel for Multiply<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Winograd { channels: [cin, cout], count, weights, pixels, .. } = self.winograd;
        let widest = blocks(*cout).next().unwrap_or(1);
        for f in 0..F {
            let inputs = &self.scratch.inputs[f * stride(*count, *cin)..];
            let products = &mut self.scratch.products[f * stride(*count, *cout)..];
            for (first, weights) in (0..).step_by(widest).zip(weights.chunks(F * stride(*cin, widest))) {
                let width = widest.min(cout - first);
                let weights = &weights[f * stride(*cin, width)..][..cin * width];
                let part = |all: &&'_ [f32]| -> [usize; 2] { [f, f + 1].map(|f| all.len() * f / F) };
                let mut ahead: [&[f32]; 3] = [&[]; 3];
                if first == 0 {
                    for (ahead, all) in ahead.iter_mut().zip(self.ahead) {
                        let [start, end] = part(all);
                        *ahead = &all[start..end];
                    }
                }
                correlate_block::<V>(pixels, weights, first, inputs, self.tiles, products, &ahead);
            }
        }
    }
}

struct TransformOutputs<'a> {
    tiles: &'a Tiles,
    some: Range<usize>,
    /// Of the transformed matrices.
    stride: usize,
    /// `[F][count][channels]`
    products: &'a [f32],
    channels: usize,
    out: &'a mut [f32],
}

impl VectorKernel for TransformOutputs<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, some, stride, products, channels, out } = self;
        let row = tiles.size[1] * channels;
        for (i, tile) in some.enumerate() {
            let out = &mut out[tiles.output(tile, channels)..];
            for first in (0..channels).step_by(V::LANES) {
                let at = i * channels + first;
                let pixels = both(load::<4, V>(products, at, [4 * stride, stride]), to_output);
                store(pixels, out, first, [row, channels]);
            }
        }
    }
}

/// How many floats the sums of all parts of a batch may take.
const SUMS: usize = 1 << 21;

/// The gradient of the weight, `[cout, cin, 3, 3]`: the sum over tiles of the products of transformed inputs and transformed
/// gradients, taken back.
///
/// A task sums some blocks of output channels over one part of the batch; parts are added up in order, so that the result
/// does not depend on the threads.
pub fn weight_gradient(conv: &Conv, maps: &Maps, dy: &[f32]) -> Vec<f32> {
    let (cin, cout) = (conv.cin, conv.cout);
    let units = Units::new([conv.h, conv.w], 2);
    let window = conv.window(&units);
    let tiles = Tiles::new(window, &units);
    let most = tiles.count(units.pictures);
    let inputs: Vec<usize> = (0..most).map(|tile| tile * cin).collect();
    let width = weight_gradient::width();
    let blocks = cout.div_ceil(width);
    let count = (conv.batch * conv.h).div_ceil(units.pictures * units.rows);
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
            let [picture, row] = units.first(unit);
            let pictures = units.pictures.min(conv.batch - picture);
            let tiles_now = tiles.count(pictures);
            let buffer = &mut buffer[..pictures * window.picture()];
            window.fill(maps, picture, row as isize - 1, buffer);
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
