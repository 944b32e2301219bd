//! The ways into the space of [`super`] and back: small matrices of 0, 1 and 1/2, applied to squares of vectors.

// Loops over small arrays, unrolled by their constant bounds: iterators over them are not always inlined, and closures alone
// have no AVX.
#![allow(clippy::needless_range_loop)]

use crate::platform::simd::Vector;

/// Applies a map of `I` to `O` values to the columns and then to the rows of a matrix of vectors.
///
/// Loops, here and below, because the closures of `array::from_fn` are not always inlined, and alone they have no AVX.
#[inline(always)]
pub fn both<const I: usize, const O: usize, V: Vector>(
    matrix: [[V; I]; I],
    map: impl Fn([V; I]) -> [V; O],
) -> [[V; O]; O] {
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
pub fn load<const N: usize, V: Vector>(from: &[f32], at: usize, [row, column]: [usize; 2]) -> [[V; N]; N] {
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
pub fn store<const N: usize, V: Vector>(square: [[V; N]; N], to: &mut [f32], at: usize, [row, column]: [usize; 2]) {
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
pub fn of_input<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// A^T
#[inline(always)]
pub fn to_output<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// A
#[inline(always)]
pub fn of_output<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), b.mul(V::splat(-1.0))]
}

/// G
#[inline(always)]
pub fn of_weight<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    let (ends, half) = (a.add(c), V::splat(0.5));
    [a, ends.add(b).mul(half), ends.sub(b).mul(half), c]
}

/// G^T
#[inline(always)]
pub fn to_weight<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    let half = V::splat(0.5);
    let sum = b.add(c).mul(half);
    [a.add(sum), b.sub(c).mul(half), sum.add(d)]
}
