//! Transforms of Winograd's algorithm: small matrices with entries 0, 1 and 1/2, applied to squares of vectors. The
//! names of the matrices A, B and G are those of Lavin and Gray (2016).

// Index loops over small arrays with constant bounds, which are unrolled. Iterators over such arrays and closures of
// `array::from_fn` are not always inlined, and a closure that is not inlined is compiled without AVX.
#![allow(clippy::needless_range_loop)]

use crate::platform::simd::Vector;

/// Applies a linear map from `I` to `O` values to the columns and then to the rows of a matrix of vectors.
#[inline(always)]
pub fn transform_2d<const I: usize, const O: usize, V: Vector>(
    matrix: [[V; I]; I],
    map: impl Fn([V; I]) -> [V; O],
) -> [[V; O]; O] {
    let initial = matrix[0][0];
    let mut columns = [[initial; O]; I];
    for x in 0..I {
        let mut column = [initial; I];
        for y in 0..I {
            column[y] = matrix[y][x];
        }
        columns[x] = map(column);
    }
    let mut rows = [[initial; O]; O];
    for y in 0..O {
        let mut row = [initial; I];
        for x in 0..I {
            row[x] = columns[x][y];
        }
        rows[y] = map(row);
    }
    rows
}

/// Loads an `N x N` square of vectors; `row` and `column` are the distances of its rows and columns in floats.
#[inline(always)]
pub fn load<const N: usize, V: Vector>(from: &[f32], at: usize, [row, column]: [usize; 2]) -> [[V; N]; N] {
    // One bounds check for all vectors: separate checks would take half of the time.
    let from = &from[at..at + (N - 1) * (row + column) + V::LANES];
    // SAFETY: `from` starts at the first vector and ends at the end of the last one.
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

/// Stores an `N x N` square of vectors; `row` and `column` are the distances of its rows and columns in floats.
#[inline(always)]
pub fn store<const N: usize, V: Vector>(square: [[V; N]; N], to: &mut [f32], at: usize, [row, column]: [usize; 2]) {
    let to = &mut to[at..at + (N - 1) * (row + column) + V::LANES];
    for y in 0..N {
        for x in 0..N {
            // SAFETY: `to` starts at the first vector and ends at the end of the last one.
            unsafe { square[y][x].store(to.as_mut_ptr().add(y * row + x * column)) };
        }
    }
}

/// Transforms inputs: multiplies by B^T.
#[inline(always)]
pub fn input_transform<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// Transforms products to outputs: multiplies by A^T.
#[inline(always)]
pub fn output_transform<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// Transforms gradients of outputs: multiplies by A.
#[inline(always)]
pub fn output_gradient_transform<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), b.mul(V::splat(-1.0))]
}

/// Transforms weights: multiplies by G.
#[inline(always)]
pub fn weight_transform<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    let (ends, half) = (a.add(c), V::splat(0.5));
    [a, ends.add(b).mul(half), ends.sub(b).mul(half), c]
}

/// Transforms products to gradients of weights: multiplies by G^T.
#[inline(always)]
pub fn weight_gradient_transform<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    let half = V::splat(0.5);
    let sum = b.add(c).mul(half);
    [a.add(sum), b.sub(c).mul(half), sum.add(d)]
}
