//! Convolution with 3 x 3 kernels at stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray, 2016): 16 multiplications for
//! four pixels of the output instead of 36, in exchange for additions.
//!
//! The output is cut into tiles of 2 x 2 pixels, Y = A^T [ (G g G^T) . (B^T d B) ] A with d the 4 x 4 pixels of the input
//! under a tile. Split into 2 x 2 planes as in [`super::conv`], the pixels at one place of all tiles are one long run, so
//! both transforms are sums of whole vectors, and what is between them is one product of matrices for each of the 16 places.

use rayon::prelude::*;

use super::conv::{LANES, Planes, R, Tile, V, load, multiply_add, run_length};
use crate::platform::simd::{self, Kernel};

/// Places of a tile of the input.
const PLACES: usize = 16;
/// Tiles that are worked on at once: so many that the weights are seldom looked at again, so few that all stays in cache.
const AT_ONCE: usize = 4 * V * LANES;
/// Fewer tiles than this do not repay the transform of the weights, and with fewer channels the other transforms weigh more.
const WORTH_TILES: usize = 64;
const WORTH_CHANNELS: usize = 8;

/// A convolution `[batch, cin, h, w]` -> `[batch, cout, h, w]`, 3 x 3, stride 1, padding 1.
#[derive(Clone, Copy)]
pub struct Winograd {
    pub batch: usize,
    pub cin: usize,
    pub cout: usize,
    pub h: usize,
    pub w: usize,
}

impl Winograd {
    /// Whether it is faster this way.
    pub fn pays(&self) -> bool {
        let tiles = self.batch * self.h.div_ceil(2) * self.w.div_ceil(2);
        tiles >= WORTH_TILES && self.cin.min(self.cout) >= WORTH_CHANNELS
    }

    /// Convolves `x`; `weight(o, i, tap)` is that of tap `3 row + column` between two channels.
    pub fn run(&self, x: &[f32], weight: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let &Self { cin, cout, h, w, .. } = self;
        let planes = Planes::new([cin, h, w], 1, 2);
        let weights = self.weights(weight);
        // Tiles of a picture, as one run.
        let n = run_length([h.div_ceil(2), w.div_ceil(2)], planes.row);
        let group = (AT_ONCE / n).clamp(1, self.batch.div_ceil(rayon::current_num_threads()).max(1));
        let size = planes.len(n.next_multiple_of(LANES));
        // Apart so far that the last vector of one run never reaches the next channel.
        let stride = AT_ONCE.min((group * n).next_multiple_of(V * LANES)) + LANES;
        let mut y = vec![0.0; self.batch * cout * h * w];
        let work = x.par_chunks(group * cin * h * w).zip(y.par_chunks_mut(group * cout * h * w));
        work.for_each_init(
            || {
                let rows = PLACES * cout.next_multiple_of(R);
                (vec![0.0; group * size], vec![0.0; PLACES * cin * stride], vec![0.0; rows * stride])
            },
            |(padded, inputs, products), (x, y)| {
                for (x, padded) in x.chunks(cin * h * w).zip(padded.chunks_mut(size)) {
                    planes.fill(x, padded);
                }
                let pictures = x.len() / (cin * h * w);
                for first in (0..n).step_by(AT_ONCE) {
                    let length = AT_ONCE.min(n - first);
                    for i in 0..cin {
                        for (p, padded) in padded.chunks(size).take(pictures).enumerate() {
                            let padded = &padded[i * planes.channel + first..];
                            let inputs = &mut inputs[i * stride + p * n..];
                            simd::run(InputTransform { padded, planes: &planes, inputs, apart: cin * stride, length });
                        }
                    }
                    let columns = (pictures - 1) * n + length;
                    simd::run(Products { inputs, weights: &weights, products, cin, columns, stride });
                    for (p, y) in y.chunks_mut(cout * h * w).enumerate() {
                        for (o, y) in y.chunks_mut(h * w).enumerate() {
                            let products = &products[o * stride + p * n..];
                            let apart = products_apart(cout, stride);
                            simd::run(OutputTransform { products, apart, first, length, row: planes.row, w, y });
                        }
                    }
                }
            },
        );
        y
    }

    /// G g G^T, `[places][output blocks of R][cin][R]`, zero where there is no such output.
    fn weights(&self, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let mut all = vec![0.0; PLACES * self.cout.next_multiple_of(R) * self.cin];
        let apart = all.len() / PLACES;
        for block in (0..self.cout).step_by(R) {
            for i in 0..self.cin {
                let tap =
                    |tap| std::array::from_fn(|r| if block + r < self.cout { weight(block + r, i, tap) } else { 0.0 });
                let rows: [[[f32; R]; 4]; 3] =
                    std::array::from_fn(|row| spread([tap(3 * row), tap(3 * row + 1), tap(3 * row + 2)]));
                for column in 0..4 {
                    let values = spread(rows.map(|row| row[column]));
                    for (row, value) in values.iter().enumerate() {
                        let to = (4 * row + column) * apart + block * self.cin + i * R;
                        all[to..to + R].copy_from_slice(value);
                    }
                }
            }
        }
        all
    }
}

/// G: (a, (a + b + c) / 2, (a - b + c) / 2, c).
fn spread([a, b, c]: [[f32; R]; 3]) -> [[f32; R]; 4] {
    let half = |sign: f32| std::array::from_fn(|r| 0.5 * (a[r] + sign * b[r] + c[r]));
    [a, half(1.0), half(-1.0), c]
}

/// Floats from the products at one place to those at the next.
fn products_apart(cout: usize, stride: usize) -> usize {
    cout.next_multiple_of(R) * stride
}

/// B^T d B for a run of tiles of one channel.
struct InputTransform<'a> {
    /// From the first tile's place in the channel's first plane on.
    padded: &'a [f32],
    planes: &'a Planes,
    /// The places' first tile, `apart` floats from one place to the next.
    inputs: &'a mut [f32],
    apart: usize,
    length: usize,
}

impl Kernel for InputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(self) {
        let from: [[usize; 4]; 4] = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                self.planes.plane(row % 2, column % 2) + row / 2 * self.planes.row + column / 2
            })
        });
        for at in (0..self.length).step_by(L) {
            // B^T applied to four vectors.
            let d: [[[f32; L]; 4]; 4] = from.map(|row| row.map(|from| load(self.padded, from + at)));
            let columns: [[[f32; L]; 4]; 4] = std::array::from_fn(|c| four([d[0][c], d[1][c], d[2][c], d[3][c]]));
            for row in 0..4 {
                let values = four(columns.map(|column| column[row]));
                for (column, value) in values.iter().enumerate() {
                    let to = (4 * row + column) * self.apart + at;
                    self.inputs[to..to + L].copy_from_slice(value);
                }
            }
        }
    }
}

/// B^T: (a - c, b + c, c - b, b - d).
#[inline(always)]
fn four<const L: usize>([a, b, c, d]: [[f32; L]; 4]) -> [[f32; L]; 4] {
    [minus(&a, &c), plus(&b, &c), minus(&c, &b), minus(&b, &d)]
}

#[inline(always)]
fn plus<const L: usize>(a: &[f32; L], b: &[f32; L]) -> [f32; L] {
    std::array::from_fn(|l| a[l] + b[l])
}

#[inline(always)]
fn minus<const L: usize>(a: &[f32; L], b: &[f32; L]) -> [f32; L] {
    std::array::from_fn(|l| a[l] - b[l])
}

/// At each place, weights `[cout, cin]` times inputs `[cin, tiles]`.
struct Products<'a> {
    /// `[places][cin][stride]`.
    inputs: &'a [f32],
    /// `[places][output blocks of R][cin][R]`.
    weights: &'a [f32],
    /// `[places][cout, whole blocks][stride]`.
    products: &'a mut [f32],
    cin: usize,
    /// Tiles wanted; more are computed, up to a whole register tile.
    columns: usize,
    stride: usize,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(self) {
        let (cin, stride) = (self.cin, self.stride);
        let places = self.inputs.chunks_exact(cin * stride).zip(self.weights.chunks_exact(self.weights.len() / PLACES));
        let apart = self.products.len() / PLACES;
        for ((inputs, weights), products) in places.zip(self.products.chunks_exact_mut(apart)) {
            for at in (0..self.columns).step_by(V * L) {
                for (weights, products) in weights.chunks_exact(cin * R).zip(products.chunks_exact_mut(R * stride)) {
                    let mut tile: Tile<L> = [[[0.0; L]; V]; R];
                    for (weights, inputs) in weights.chunks_exact(R).zip(inputs.chunks_exact(stride)) {
                        let inputs = &inputs[at..at + V * L];
                        let inputs: [[f32; L]; V] = std::array::from_fn(|v| load(inputs, v * L));
                        for r in 0..R {
                            for v in 0..V {
                                multiply_add::<L, FMA>(&mut tile[r][v], &[weights[r]; L], &inputs[v]);
                            }
                        }
                    }
                    for (products, tile) in products.chunks_exact_mut(stride).zip(&tile) {
                        for (products, values) in products[at..].chunks_exact_mut(L).zip(tile) {
                            products.copy_from_slice(values);
                        }
                    }
                }
            }
        }
    }
}

/// A^T m A for a run of tiles of one channel, put where they belong in the picture.
struct OutputTransform<'a> {
    /// The places' first tile, `apart` floats from one place to the next.
    products: &'a [f32],
    apart: usize,
    /// The number of the first tile in the run of the picture.
    first: usize,
    length: usize,
    /// Tiles from one row to the next.
    row: usize,
    w: usize,
    /// `[h, w]`.
    y: &'a mut [f32],
}

impl Kernel for OutputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(self) {
        // The four pixels of the tiles, one run for each.
        let mut pixels = [[0.0f32; AT_ONCE + LANES]; 4];
        for at in (0..self.length).step_by(L) {
            let m = |place: usize| load::<L>(self.products, place * self.apart + at);
            // A^T = (1 1 1 0; 0 1 -1 -1), first over the rows of each column.
            let rows: [[[f32; L]; 2]; 4] = std::array::from_fn(|c| two([m(c), m(4 + c), m(8 + c), m(12 + c)]));
            for a in 0..2 {
                let values = two(std::array::from_fn(|c| rows[c][a]));
                for (b, values) in values.iter().enumerate() {
                    pixels[2 * a + b][at..at + L].copy_from_slice(values);
                }
            }
        }
        let (w, end) = (self.w, self.first + self.length);
        for i in self.first / self.row..=(end - 1) / self.row {
            // Of this row of tiles, those in the run.
            let start = self.first.max(i * self.row);
            let count = end.min(i * self.row + w.div_ceil(2)).saturating_sub(start);
            let (from, column) = (start - self.first, 2 * (start - i * self.row));
            for (a, y) in self.y.chunks_mut(w).skip(2 * i).take(2).enumerate() {
                let (left, right) = (&pixels[2 * a][from..from + count], &pixels[2 * a + 1][from..from + count]);
                for ((y, left), right) in y[column.min(w)..].chunks_mut(2).zip(left).zip(right) {
                    y[0] = *left;
                    if let Some(y) = y.get_mut(1) {
                        *y = *right;
                    }
                }
            }
        }
    }
}

/// (a + b + c, b - c - d).
#[inline(always)]
fn two<const L: usize>([a, b, c, d]: [[f32; L]; 4]) -> [[f32; L]; 2] {
    [std::array::from_fn(|l| a[l] + b[l] + c[l]), std::array::from_fn(|l| b[l] - c[l] - d[l])]
}
