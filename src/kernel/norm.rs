//! Batch normalisation's arithmetic on the CPU, one pass over the data each: `f32`, contiguous `[B, C, H, W]`.
//!
//! Sums are taken plane by plane in eight lanes and added up in a fixed order, so that results do not depend on the
//! number of threads.

use rayon::prelude::*;

/// Partial sums of a plane.
const LANES: usize = 8;
/// Planes that a thread takes at once, at least.
const PLANES: usize = 8;

/// The extents of `[B, C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    pub channels: usize,
    /// Height times width.
    pub area: usize,
}

impl Planes {
    /// `max(scale_c x + shift_c, floor)`, `[B, C, H, W]`; the floor is 0 with `relu`.
    pub fn affine(&self, x: &[f32], scale: &[f32], shift: &[f32], relu: bool) -> Vec<f32> {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        self.map(x.len(), |plane, c, out| {
            let x = &x[plane * self.area..][..self.area];
            out.iter_mut().zip(x).for_each(|(y, x)| {
                let value = scale[c] * x + shift[c];
                // Not `max`, which would make 0 of what is no number, and hide it.
                *y = if value < floor { floor } else { value };
            });
        })
    }

    /// The gradient of `x`; `y` is the output if it was cut at 0.
    pub fn affine_input_gradient(&self, dy: &[f32], y: Option<&[f32]>, scale: &[f32]) -> Vec<f32> {
        self.map(dy.len(), |plane, c, out| {
            let range = plane * self.area..(plane + 1) * self.area;
            let dy = &dy[range.clone()];
            match y {
                Some(y) => {
                    let kept = out.iter_mut().zip(dy).zip(&y[range]);
                    kept.for_each(|((dx, dy), y)| *dx = if *y == 0.0 { 0.0 } else { scale[c] * dy });
                }
                None => out.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = scale[c] * dy),
            }
        })
    }

    /// The gradients of scale and shift, `[C]` each.
    pub fn affine_parameter_gradients(&self, dy: &[f32], y: Option<&[f32]>, x: &[f32]) -> [Vec<f32>; 2] {
        self.sums(dy.len(), |plane| {
            let range = plane * self.area..(plane + 1) * self.area;
            let (dy, x) = (&dy[range.clone()], &x[range.clone()]);
            match y {
                Some(y) => {
                    let y = &y[range];
                    pair(self.area, |i| {
                        let dy = if y[i] == 0.0 { 0.0 } else { dy[i] };
                        [dy * x[i], dy]
                    })
                }
                None => pair(self.area, |i| [dy[i] * x[i], dy[i]]),
            }
        })
    }

    /// Mean and biased variance over batch, height and width, `[C]` each.
    pub fn moments(&self, x: &[f32]) -> [Vec<f32>; 2] {
        let n = (x.len() / self.channels) as f32;
        let plane = |plane: usize| &x[plane * self.area..][..self.area];
        let [sum, _] = self.sums(x.len(), |p| {
            let x = plane(p);
            pair(self.area, |i| [x[i], 0.0])
        });
        let mean: Vec<f32> = sum.iter().map(|sum| sum / n).collect();
        // Around the mean: the difference of two large sums would lose digits.
        let [squares, _] = self.sums(x.len(), |p| {
            let (x, mean) = (plane(p), mean[p % self.channels]);
            pair(self.area, |i| [(x[i] - mean) * (x[i] - mean), 0.0])
        });
        [mean, squares.iter().map(|sum| sum / n).collect()]
    }

    /// The gradient of `x` from those of mean and variance: (dmean + 2 (x - mean) dvariance) / n.
    pub fn moments_gradient(&self, x: &[f32], mean: &[f32], dmean: &[f32], dvariance: &[f32]) -> Vec<f32> {
        let n = (x.len() / self.channels) as f32;
        self.map(x.len(), |plane, c, out| {
            let x = &x[plane * self.area..][..self.area];
            let (slope, offset) = (2.0 * dvariance[c] / n, dmean[c] / n);
            out.iter_mut().zip(x).for_each(|(dx, x)| *dx = slope * (x - mean[c]) + offset);
        })
    }

    /// Fills an array plane by plane; `fill` gets the plane's number, its channel, and where to write.
    fn map(&self, len: usize, fill: impl Fn(usize, usize, &mut [f32]) + Sync) -> Vec<f32> {
        let mut out = vec![0.0; len];
        let planes = out.par_chunks_mut(self.area).enumerate().with_min_len(PLANES);
        planes.for_each(|(plane, out)| fill(plane, plane % self.channels, out));
        out
    }

    /// Adds up two numbers of each plane, channel by channel.
    fn sums(&self, len: usize, of_plane: impl Fn(usize) -> [f32; 2] + Sync + Send) -> [Vec<f32>; 2] {
        let planes: Vec<[f32; 2]> = (0..len / self.area).into_par_iter().with_min_len(PLANES).map(of_plane).collect();
        [0, 1].map(|k| {
            let of_channel = |c: usize| planes[c..].iter().step_by(self.channels).map(|p| f64::from(p[k])).sum::<f64>();
            (0..self.channels).map(|c| of_channel(c) as f32).collect()
        })
    }
}

/// Sums two terms over `0..n`, in lanes that a compiler can keep in vectors.
fn pair(n: usize, term: impl Fn(usize) -> [f32; 2]) -> [f32; 2] {
    let (mut first, mut second) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut add = |start: usize, end: usize| {
        for ((i, first), second) in (start..end).zip(&mut first).zip(&mut second) {
            let [a, b] = term(i);
            *first += a;
            *second += b;
        }
    };
    let whole = n - n % LANES;
    (0..whole).step_by(LANES).for_each(|start| add(start, start + LANES));
    add(whole, n);
    [first, second].map(|lanes| lanes.iter().sum())
}
