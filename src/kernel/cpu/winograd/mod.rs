//! 3x3 convolutions of stride 1 by Winograd's algorithm F(2x2, 3x3), with 4 products per output pixel instead of 9
//! (Lavin and Gray, 2016, arXiv:1509.09308).
//!
//! A tile is 2x2 output pixels and the 4x4 input pixels that they depend on. Inputs and weights are transformed so that
//! the convolution becomes 16 matrix products, `[tiles, inputs] [inputs, outputs]`, and the products are transformed
//! back. In NHWC layout the transforms are sums of whole vectors. Their constants are 0, 1 and 1/2, so the loss of
//! accuracy is negligible.

mod transform;
mod weight_gradient;

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    conv::ConvDims,
    correlate::{P, PixelOffsets, WeightBlock, block_widths, correlate_block},
    window::{PaddedWindow, WorkUnits},
};
use crate::platform::simd::{self, Vector, VectorKernel};
use transform::{input_transform, load, output_transform, store, transform_2d, weight_transform};
pub use weight_gradient::weight_gradient;

/// Number of matrix products.
const F: usize = 16;

/// Returns whether the algorithm supports a convolution: 3x3, stride 1, even height and width, multiples of 8 channels.
pub fn supports(conv: &ConvDims) -> bool {
    let even_size = [conv.h, conv.w].iter().all(|n| n.is_multiple_of(2));
    let whole_vectors = [conv.cin, conv.cout].iter().all(|n| n.is_multiple_of(8));
    conv.k == 3 && conv.stride == 1 && even_size && whole_vectors
}

/// Tiles of a unit of work.
#[derive(Clone, Copy)]
struct Tiles {
    window: PaddedWindow,
    /// Output rows and columns per image of the unit.
    size: [usize; 2],
}

impl Tiles {
    fn new(window: PaddedWindow, units: &WorkUnits) -> Self {
        Self { window, size: [units.rows, units.size[1]] }
    }

    /// Returns the number of tiles of `images` images.
    fn count(&self, images: usize) -> usize {
        images * self.size[0] * self.size[1] / 4
    }

    /// Returns image, row and column of the first output pixel of a tile.
    fn pixel(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.size.map(|n| n / 2);
        [tile / (rows * columns), tile / columns % rows * 2, tile % columns * 2]
    }

    /// Returns the offset of a tile's inputs in the window.
    fn input(&self, tile: usize) -> usize {
        let [image, y, x] = self.pixel(tile);
        image * self.window.image_len() + y * self.window.row_len() + x * self.window.source[2]
    }

    /// Returns the offset of a tile's outputs in the unit `[images, rows, columns, channels]`.
    fn output(&self, tile: usize, channels: usize) -> usize {
        let [image, y, x] = self.pixel(tile);
        ((image * self.size[0] + y) * self.size[1] + x) * channels
    }
}

/// Returns the distance in floats between two of the `F` matrices `rows x columns`. One cache line of padding avoids
/// conflicts: with a distance of a power of two, equal positions of all matrices would map to the same cache set.
fn matrix_stride(rows: usize, columns: usize) -> usize {
    rows * columns + 16
}

/// Working memory of a thread.
pub struct Scratch {
    /// `[F][tiles][inputs]`
    inputs: Vec<f32>,
    /// `[F][tiles][outputs]`
    products: Vec<f32>,
}

/// Returns the number of tiles to transform at once. If the weights fit into the L2 cache, the transformed matrices
/// should fit too.
fn tiles_at_once([cin, cout]: [usize; 2]) -> usize {
    if F * cin * cout > 1 << 17 { usize::MAX } else { ((1 << 15) / (F * (cin + cout))).next_multiple_of(P) }
}

/// A convolution with transformed weights.
pub struct Winograd {
    tiles: Tiles,
    /// Tiles that are transformed at once.
    count: usize,
    /// Input and output channels.
    channels: [usize; 2],
    /// `[blocks of output channels][F][inputs][channels of the block]`.
    weights: Arc<Vec<f32>>,
    pixels: PixelOffsets,
}

impl Winograd {
    /// Prepares a convolution; `channels` are input and output channels, and `weights` come from [`Winograd::pack`].
    pub fn new(window: PaddedWindow, units: &WorkUnits, channels: [usize; 2], weights: Arc<Vec<f32>>) -> Self {
        let [cin, cout] = channels;
        let tiles = Tiles::new(window, units);
        let count = tiles_at_once(channels).min(tiles.count(units.images));
        let pixels = PixelOffsets {
            runs: vec![(0, cin)],
            inputs: (0..count).map(|tile| tile * cin).collect(),
            outputs: (0..count).map(|tile| tile * cout).collect(),
            channels: cout,
        };
        Self { tiles, count, channels, weights, pixels }
    }

    /// Transforms the weights and packs them into the layout of [`Winograd`]. `weights_of(o, i)` returns the 3x3
    /// weights of output channel o and input channel i; `tap(t)` is the index of the weight at position t of the
    /// window.
    pub fn pack<'a>(
        [cin, cout]: [usize; 2],
        weights_of: impl Fn(usize, usize) -> &'a [f32] + Sync,
        tap: impl Fn(usize) -> usize + Sync,
    ) -> Vec<f32> {
        let widest = block_widths(cout).next().unwrap_or(1);
        let mut weights = vec![0.0; block_widths(cout).map(|width| F * matrix_stride(cin, width)).sum()];
        weights.par_chunks_mut(F * matrix_stride(cin, widest)).enumerate().for_each(|(block, packed)| {
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

    /// Makes the working memory of a thread.
    pub fn scratch(&self) -> Scratch {
        let [inputs, products] = self.channels.map(|channels| vec![0.0; F * matrix_stride(self.count, channels)]);
        Scratch { inputs, products }
    }

    /// Writes the outputs of `images` images; the slices of `prefetch`, at most 3, are prefetched during the
    /// computation.
    pub fn run(&self, window: &[f32], images: usize, scratch: &mut Scratch, out: &mut [f32], prefetch: &[&[f32]]) {
        let (tiles, [cin, cout]) = (&self.tiles, self.channels);
        let all = tiles.count(images);
        for first in (0..all).step_by(self.count) {
            let range = first..(first + self.count).min(all);
            // Each group of tiles prefetches its share of every slice.
            let mut shares: [&[f32]; 3] = [&[]; 3];
            for (share, slice) in shares.iter_mut().zip(prefetch) {
                *share = &slice[slice.len() * range.start / all..slice.len() * range.end / all];
            }
            simd::run_vectors(TransformInputs {
                tiles,
                range: range.clone(),
                stride: matrix_stride(self.count, cin),
                window,
                channels: cin,
                out: &mut scratch.inputs,
            });
            simd::run_vectors(Multiply { winograd: self, tiles: range.len(), scratch, prefetch: &shares });
            simd::run_vectors(TransformOutputs {
                tiles,
                range,
                stride: matrix_stride(self.count, cout),
                products: &scratch.products,
                channels: cout,
                out,
            });
        }
    }
}

/// Transforms the weights of one input channel.
struct PackWeights<'a> {
    /// `[9][width]`
    rows: &'a [f32],
    width: usize,
    cin: usize,
    /// Packed weights from this input channel on.
    packed: &'a mut [f32],
}

impl VectorKernel for PackWeights<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { rows, width, cin, packed } = self;
        for first in (0..width).step_by(V::LANES) {
            let transformed = transform_2d(load::<3, V>(rows, first, [3 * width, width]), weight_transform);
            store(transformed, packed, first, [4 * matrix_stride(cin, width), matrix_stride(cin, width)]);
        }
    }
}

/// Transforms the inputs of a range of tiles.
struct TransformInputs<'a> {
    tiles: &'a Tiles,
    range: Range<usize>,
    /// Distance of the transformed matrices.
    stride: usize,
    window: &'a [f32],
    channels: usize,
    /// `[F][count][channels]`
    out: &'a mut [f32],
}

impl VectorKernel for TransformInputs<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, range, stride, window, channels, out } = self;
        let row_len = tiles.window.row_len();
        for (i, tile) in range.enumerate() {
            let window = &window[tiles.input(tile)..];
            for first in (0..channels).step_by(V::LANES) {
                let transformed = transform_2d(load::<4, V>(window, first, [row_len, channels]), input_transform);
                store(transformed, out, i * channels + first, [4 * stride, stride]);
            }
        }
    }
}

/// Computes the `F` matrix products.
struct Multiply<'a> {
    winograd: &'a Winograd,
    tiles: usize,
    scratch: &'a mut Scratch,
    prefetch: &'a [&'a [f32]],
}

impl VectorKernel for Multiply<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Winograd { channels: [cin, cout], count, weights, pixels, .. } = self.winograd;
        let widest = block_widths(*cout).next().unwrap_or(1);
        for f in 0..F {
            let inputs = &self.scratch.inputs[f * matrix_stride(*count, *cin)..];
            let products = &mut self.scratch.products[f * matrix_stride(*count, *cout)..];
            for (first, weights) in (0..).step_by(widest).zip(weights.chunks(F * matrix_stride(*cin, widest))) {
                let width = widest.min(cout - first);
                let weights = &weights[f * matrix_stride(*cin, width)..][..cin * width];
                // The first block of each product prefetches 1/F of every slice.
                let mut shares: [&[f32]; 3] = [&[]; 3];
                if first == 0 {
                    for (share, slice) in shares.iter_mut().zip(self.prefetch) {
                        *share = &slice[slice.len() * f / F..slice.len() * (f + 1) / F];
                    }
                }
                let block = WeightBlock { first, values: weights };
                correlate_block::<V>(pixels, block, inputs, self.tiles, products, &shares);
            }
        }
    }
}

/// Transforms the products of a range of tiles to outputs.
struct TransformOutputs<'a> {
    tiles: &'a Tiles,
    range: Range<usize>,
    /// Distance of the transformed matrices.
    stride: usize,
    /// `[F][count][channels]`
    products: &'a [f32],
    channels: usize,
    out: &'a mut [f32],
}

impl VectorKernel for TransformOutputs<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tiles, range, stride, products, channels, out } = self;
        let row_len = tiles.size[1] * channels;
        for (i, tile) in range.enumerate() {
            let out = &mut out[tiles.output(tile, channels)..];
            for first in (0..channels).step_by(V::LANES) {
                let at = i * channels + first;
                let pixels = transform_2d(load::<4, V>(products, at, [4 * stride, stride]), output_transform);
                store(pixels, out, first, [row_len, channels]);
            }
        }
    }
}
