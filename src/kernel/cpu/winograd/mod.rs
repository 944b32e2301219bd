//! 3x3 convolutions of stride 1 with 4 products a pixel instead of 9 (Lavin and Gray, 2016, F(2x2, 3x3)).
//!
//! A tile is 2x2 output pixels and the 4x4 input pixels that they see. Inputs, weights and outputs are taken to a space
//! where convolution is 16 products of matrices, `[tiles, inputs] [inputs, outputs]`. With channels last the ways there and
//! back are sums of whole vectors. Its constants are 0, 1 and 1/2: no digits are lost to speak of.

mod transform;
mod weight_gradient;

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    conv::Conv,
    correlate::{P, Pixels, blocks, correlate_block},
    window::{Units, Window},
};
use crate::platform::simd::{self, Vector, VectorKernel};
use transform::{both, load, of_input, of_weight, store, to_output};
pub use weight_gradient::weight_gradient;

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
    /// Rows and columns of output pixels of an image of the unit.
    size: [usize; 2],
}

impl Tiles {
    fn new(window: Window, units: &Units) -> Self {
        Self { window, size: [units.rows, units.size[1]] }
    }

    /// Of so many images.
    fn count(&self, images: usize) -> usize {
        images * self.size[0] * self.size[1] / 4
    }

    /// Image, row and column of a tile's first output pixel.
    fn pixel(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.size.map(|n| n / 2);
        [tile / (rows * columns), tile / columns % rows * 2, tile % columns * 2]
    }

    /// Where in the window a tile's inputs begin.
    fn input(&self, tile: usize) -> usize {
        let [image, y, x] = self.pixel(tile);
        image * self.window.image() + y * self.window.row() + x * self.window.source[2]
    }

    /// Where in the unit, of so many channels, a tile's outputs begin.
    fn output(&self, tile: usize, channels: usize) -> usize {
        let [image, y, x] = self.pixel(tile);
        ((image * self.size[0] + y) * self.size[1] + x) * channels
    }
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
        let count = at_once(channels).min(tiles.count(units.images));
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

    /// Writes the outputs of so many images, and meanwhile fetches what is `ahead`.
    pub fn run(&self, window: &[f32], images: usize, scratch: &mut Scratch, out: &mut [f32], ahead: &[&[f32]]) {
        let [cin, cout] = self.channels;
        let all = self.tiles.count(images);
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
