//! Two-dimensional convolution and its two gradients on the CPU: `f32`, contiguous `[B, C, H, W]`, odd square kernels
//! (padding k/2), any stride.
//!
//! Every picture is first copied into zero-padded planes whose rows share their padding: the zeros right of one row are
//! those left of the next. In such a plane a tap of the kernel is one fixed distance, whatever the pixel, so the
//! pixels of an output can be taken as one long run, padding included (3 to 20 % of it, thrown away at the end), and
//! cut into tiles that ignore where rows end. With stride s the plane is split into s x s planes, by the remainders of
//! row and column, and taps are fixed distances again.

use rayon::prelude::*;

use crate::platform::simd::{self, Kernel};

/// Channels of one register tile.
const R: usize = 4;
/// Vectors of pixels (of taps, for the weight gradient) of one register tile. `R * V` accumulators, `V` vectors and one
/// broadcast weight are the 16 registers of AVX2, SSE2 and simd128.
const V: usize = 3;

/// Floats of the widest vectors.
const LANES: usize = 8;

/// The vectors of one register tile.
type Tile<const L: usize> = [[[f32; L]; V]; R];

/// What is convolved: `[batch, cin, h, w]` with `[cout, cin, k, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub batch: usize,
    pub cin: usize,
    pub cout: usize,
    pub h: usize,
    pub w: usize,
    /// Odd; the padding is k/2.
    pub k: usize,
    pub stride: usize,
}

impl Conv {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.h.div_ceil(self.stride), self.w.div_ceil(self.stride)]
    }

    /// `[batch, cin, h, w]`, `[cout, cin, k, k]` -> `[batch, cout, h/stride, w/stride]`.
    pub fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let planes = self.input_planes();
        let [h, w] = self.output();
        let (kk, cin) = (self.k * self.k, self.cin);
        let phase = Phase::new(&planes, self.taps(&planes), [0, 0], [h, w], self.cout, |o, i, t| {
            weight[(o * cin + i) * kk + t]
        });
        correlate(x, &planes, &[phase], [self.batch, self.cout, h, w], 1)
    }

    /// The gradient of the input, `[batch, cin, h, w]`, from that of the output, `dy`.
    ///
    /// It is a convolution too: the input pixels of one remainder by the stride see the same taps.
    pub fn input_gradient(&self, dy: &[f32], weight: &[f32]) -> Vec<f32> {
        let (k, s, pad) = (self.k, self.stride, self.k / 2);
        let [h, w] = self.output();
        let planes = Planes::new([self.cout, h, w], pad, 1);
        // Row i of the input reaches the output rows (i + pad - ky) / s.
        let reach = |first: usize| (0..k).filter(move |ky| (first + pad + s * k - ky).is_multiple_of(s));
        let distance = |first: usize, ky: usize| (first + pad + s * pad - ky) / s;
        let phase = |[a, b]: [usize; 2]| {
            let taps = reach(a).flat_map(|ky| reach(b).map(move |kx| (ky, kx)));
            let taps = taps.map(|(ky, kx)| (distance(a, ky) * planes.row + distance(b, kx), ky * k + kx)).collect();
            let size = [(self.h - a).div_ceil(s), (self.w - b).div_ceil(s)];
            Phase::new(&planes, taps, [a, b], size, self.cin, |o, i, t| weight[(i * self.cin + o) * k * k + t])
        };
        let firsts = (0..s.min(self.h)).flat_map(|a| (0..s.min(self.w)).map(move |b| [a, b]));
        let phases: Vec<_> = firsts.map(phase).collect();
        correlate(dy, &planes, &phases, [self.batch, self.cin, self.h, self.w], s)
    }

    /// The gradient of the weight, `[cout, cin, k, k]`, from that of the output, `dy`.
    ///
    /// The batch is cut into at most 8 parts, whatever the number of threads, and their sums are added in order: the
    /// result does not depend on the threads.
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let planes = self.input_planes();
        let [h, w] = self.output();
        let n = run_length([h, w], planes.row).next_multiple_of(LANES);
        let taps = self.taps(&planes);
        // Where in the planes of a picture each column of the weight, seen as a matrix, starts.
        let mut streams: Vec<usize> =
            (0..self.cin).flat_map(|i| taps.iter().map(move |(offset, _)| i * planes.channel + offset)).collect();
        let columns = streams.len();
        streams.resize(columns.next_multiple_of(V), 0);
        let rows = self.cout.next_multiple_of(R);

        let part = self.batch.div_ceil(8).max(1);
        // Small pictures are summed several at a time: the sums stay in registers longer.
        let group = (1024 / n).clamp(1, part);
        let picture = [self.cin * self.h * self.w, self.cout * h * w];
        let sum_of_part = |(x, dy): (&[f32], &[f32])| {
            let mut sum = vec![0.0; rows * streams.len()];
            let size = planes.len(n);
            let (mut xs, mut dys) = (vec![0.0; group * size], vec![0.0; group * rows * n]);
            for (x, dy) in x.chunks(group * picture[0]).zip(dy.chunks(group * picture[1])) {
                for (x, xs) in x.chunks(picture[0]).zip(xs.chunks_mut(size)) {
                    planes.fill(x, xs);
                }
                for (dy, dys) in dy.chunks(picture[1]).zip(dys.chunks_mut(rows * n)) {
                    for (dy, dys) in dy.chunks(h * w).zip(dys.chunks_mut(n)) {
                        for (dy, dys) in dy.chunks(w).zip(dys.chunks_mut(planes.row)) {
                            dys[..w].copy_from_slice(dy);
                        }
                    }
                }
                let count = x.len() / picture[0];
                let (xs, dys) = (&xs[..count * size], &dys[..count * rows * n]);
                simd::run(WeightSums { xs, size, dys, n, streams: &streams, sum: &mut sum });
            }
            sum
        };
        let parts = x.par_chunks(part * picture[0]).zip(dy.par_chunks(part * picture[1]));
        let parts: Vec<Vec<f32>> = parts.map(sum_of_part).collect();
        let mut total = vec![0.0; self.cout * columns];
        for part in parts {
            for (total, part) in total.chunks_mut(columns).zip(part.chunks(streams.len())) {
                total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
            }
        }
        total
    }

    fn input_planes(&self) -> Planes {
        Planes::new([self.cin, self.h, self.w], self.k / 2, self.stride)
    }

    /// The taps of the kernel in the planes of the input, row by row.
    fn taps(&self, planes: &Planes) -> Vec<(usize, usize)> {
        let (k, s) = (self.k, self.stride);
        let tap = |t: usize| {
            let (ky, kx) = (t / k, t % k);
            (planes.plane(ky % s, kx % s) + ky / s * planes.row + kx / s, t)
        };
        (0..k * k).map(tap).collect()
    }
}

/// Pixels from the first to the last of a picture whose rows start `row` apart.
fn run_length([h, w]: [usize; 2], row: usize) -> usize {
    (h - 1) * row + w
}

/// The zero-padded planes of one picture: `[channels][step x step planes][rows][row]`.
struct Planes {
    channels: usize,
    h: usize,
    w: usize,
    pad: usize,
    step: usize,
    /// Floats from one row to the next.
    row: usize,
    /// Floats from one plane of a channel to the next.
    plane: usize,
    /// Floats from one channel to the next.
    channel: usize,
}

impl Planes {
    fn new([channels, h, w]: [usize; 3], pad: usize, step: usize) -> Self {
        let row = w.div_ceil(step) + pad.div_ceil(step);
        let plane = (h + 2 * pad).div_ceil(step) * row;
        // Without padding only the first plane is looked at.
        let count = if pad == 0 { 1 } else { step * step };
        Self { channels, h, w, pad, step, row, plane, channel: count * plane }
    }

    /// Where in a channel the plane of these remainders starts.
    fn plane(&self, row: usize, column: usize) -> usize {
        (row * self.step + column) * self.plane
    }

    /// Floats of one picture, and as many more as a run of `n` pixels may reach beyond its last tap.
    fn len(&self, n: usize) -> usize {
        self.channels * self.channel + self.pad + n
    }

    /// Writes the picture `[channels, h, w]` between the zeros of `planes`.
    fn fill(&self, picture: &[f32], planes: &mut [f32]) {
        let (pad, s) = (self.pad, self.step);
        for (picture, planes) in picture.chunks(self.h * self.w).zip(planes.chunks_mut(self.channel)) {
            for (y, pixels) in (pad..).zip(picture.chunks(self.w)) {
                if s == 1 {
                    planes[y * self.row + pad..][..self.w].copy_from_slice(pixels);
                    continue;
                }
                for first in 0..s {
                    let (py, px) = (y % s, (first + pad) % s);
                    if pad == 0 && (py, px) != (0, 0) {
                        continue;
                    }
                    let row = &mut planes[self.plane(py, px) + y / s * self.row + (first + pad) / s..];
                    row.iter_mut().zip(pixels.iter().skip(first).step_by(s)).for_each(|(p, x)| *p = *x);
                }
            }
        }
    }
}

/// The output pixels `first + step * (0..size)`, which all see the same taps.
struct Phase {
    /// Of every channel, one after the other: distances from the pixel in the planes of the picture.
    taps: Vec<usize>,
    /// `[output blocks of R][taps][R]`, zero where there is no such output.
    weights: Vec<f32>,
    first: [usize; 2],
    size: [usize; 2],
}

impl Phase {
    /// `taps` of one channel: distances, and their indices for `weight(output channel, input channel, tap)`.
    fn new(
        planes: &Planes,
        taps: Vec<(usize, usize)>,
        first: [usize; 2],
        size: [usize; 2],
        outputs: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let all: Vec<_> = (0..planes.channels).flat_map(|i| taps.iter().map(move |(d, t)| (i, *d, *t))).collect();
        let mut weights = Vec::with_capacity(outputs.next_multiple_of(R) * all.len());
        for block in (0..outputs).step_by(R) {
            for &(i, _, t) in &all {
                weights.extend((block..block + R).map(|o| if o < outputs { weight(o, i, t) } else { 0.0 }));
            }
        }
        let taps = all.iter().map(|(i, distance, _)| i * planes.channel + distance).collect();
        Self { taps, weights, first, size }
    }
}

/// Sums the taps of every phase over the channels of `input`; the pixels of a phase are `step` apart in the output.
fn correlate(input: &[f32], planes: &Planes, phases: &[Phase], output: [usize; 4], step: usize) -> Vec<f32> {
    let [batch, channels, h, w] = output;
    let mut result = vec![0.0; batch * channels * h * w];
    // Whole tiles.
    let n = run_length([h.div_ceil(step), w.div_ceil(step)], planes.row).next_multiple_of(V * LANES);
    let few = batch < 2 * rayon::current_num_threads();
    let pictures = input.par_chunks(planes.channels * planes.h * planes.w).zip(result.par_chunks_mut(channels * h * w));
    pictures.for_each_init(
        || (vec![0.0; planes.len(n)], vec![0.0; R * n]),
        |(padded, run), (picture, result)| {
            planes.fill(picture, padded);
            let padded = &*padded;
            // R channels of the output at a time.
            let block = |run: &mut [f32], block: usize, result: &mut [f32]| {
                for phase in phases.iter().filter(|p| !p.taps.is_empty()) {
                    let size = R * phase.taps.len();
                    let weights = &phase.weights[block * size..][..size];
                    let length = run_length(phase.size, planes.row);
                    simd::run(Block { padded, taps: &phase.taps, weights, length, run });
                    let [a, b] = phase.first;
                    for (run, plane) in run.chunks(run.len() / R).zip(result.chunks_mut(h * w)) {
                        for (run, row) in run.chunks(planes.row).zip(plane.chunks_mut(w).skip(a).step_by(step)) {
                            if step == 1 {
                                row.copy_from_slice(&run[..w]);
                            } else {
                                row[b..].iter_mut().step_by(step).zip(run).for_each(|(y, r)| *y = *r);
                            }
                        }
                    }
                }
            };
            if few {
                let blocks = result.par_chunks_mut(R * h * w).enumerate();
                blocks.for_each_init(|| vec![0.0; R * n], |run, (i, result)| block(run, i, result));
            } else {
                result.chunks_mut(R * h * w).enumerate().for_each(|(i, result)| block(run, i, result));
            }
        },
    );
    result
}

/// `acc + a * b`, lane by lane.
#[inline(always)]
fn multiply_add<const L: usize, const FMA: bool>(acc: &mut [f32; L], a: &[f32; L], b: &[f32; L]) {
    for ((acc, a), b) in acc.iter_mut().zip(a).zip(b) {
        *acc = if FMA { a.mul_add(*b, *acc) } else { *acc + a * b };
    }
}

#[inline(always)]
fn load<const L: usize>(from: &[f32], at: usize) -> [f32; L] {
    from[at..at + L].try_into().expect("L floats")
}

/// `R` output channels of one picture: `run`, `[R][pixels]`.
struct Block<'a> {
    padded: &'a [f32],
    /// Distances from a pixel in `padded`.
    taps: &'a [usize],
    /// `[taps][R]`.
    weights: &'a [f32],
    /// How many of the pixels are wanted.
    length: usize,
    run: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(self) {
        let n = self.run.len() / R;
        for start in (0..self.length).step_by(V * L) {
            let mut tile: Tile<L> = [[[0.0; L]; V]; R];
            let padded = &self.padded[start..];
            for (weights, tap) in self.weights.chunks_exact(R).zip(self.taps) {
                let pixels = &padded[*tap..*tap + V * L];
                let pixels: [[f32; L]; V] = std::array::from_fn(|v| load(pixels, v * L));
                for r in 0..R {
                    for v in 0..V {
                        multiply_add::<L, FMA>(&mut tile[r][v], &[weights[r]; L], &pixels[v]);
                    }
                }
            }
            for (run, tile) in self.run.chunks_exact_mut(n).zip(&tile) {
                for (run, pixels) in run[start..].chunks_exact_mut(L).zip(tile) {
                    run.copy_from_slice(pixels);
                }
            }
        }
    }
}

/// Adds the products of every `dy` row with every stream of `x` over the pictures of a group.
struct WeightSums<'a> {
    /// `[pictures][planes]`, each of `size` floats.
    xs: &'a [f32],
    size: usize,
    /// `[pictures][rows][n]`: laid out like the planes, zero where those have padding.
    dys: &'a [f32],
    n: usize,
    /// Where in `xs` each column starts.
    streams: &'a [usize],
    /// `[rows][streams]`.
    sum: &'a mut [f32],
}

impl Kernel for WeightSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const L: usize, const FMA: bool>(self) {
        let (n, columns) = (self.n, self.streams.len());
        let rows = self.sum.len() / columns;
        for (block, sum) in self.sum.chunks_exact_mut(R * columns).enumerate() {
            for (j, streams) in self.streams.chunks_exact(V).enumerate() {
                let mut tile: Tile<L> = [[[0.0; L]; V]; R];
                for (x, dy) in self.xs.chunks_exact(self.size).zip(self.dys.chunks_exact(rows * n)) {
                    let dy = &dy[block * R * n..][..R * n];
                    let dy: [&[f32]; R] = std::array::from_fn(|r| &dy[r * n..][..n]);
                    let x: [&[f32]; V] = std::array::from_fn(|v| &x[streams[v]..][..n]);
                    for at in (0..n / L).map(|i| i * L) {
                        let x: [[f32; L]; V] = std::array::from_fn(|v| load(x[v], at));
                        for r in 0..R {
                            let dy = load(dy[r], at);
                            for v in 0..V {
                                multiply_add::<L, FMA>(&mut tile[r][v], &dy, &x[v]);
                            }
                        }
                    }
                }
                let sums: Tile<L> = std::array::from_fn(|r| std::array::from_fn(|v| tile[r][v]));
                add_sums(&sums, &mut sum[j * V..], columns);
            }
        }
    }
}

/// Adds the sum of the lanes of every vector of `tile` to `sum`, whose rows are `columns` apart.
///
/// Not inlined: seeing the sum over lanes, the compiler would keep the tile in single floats on WebAssembly.
#[inline(never)]
fn add_sums<const L: usize>(tile: &Tile<L>, sum: &mut [f32], columns: usize) {
    for (tile, sum) in tile.iter().zip(sum.chunks_mut(columns)) {
        for (lanes, sum) in tile.iter().zip(sum) {
            *sum += lanes.iter().sum::<f32>();
        }
    }
}
