//! Results that all threads write.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

/// `N` results of `n` floats each, and what `fill(scratch, number of the chunk, the chunk of each result)` returns, chunk by
/// chunk. Chunks begin as zeros, and every thread has its own `scratch`. The zeros are written by the threads too: in
/// one go they would be a pass of their own.
pub fn fill<const N: usize, S, R: Send>(
    n: usize,
    chunk: usize,
    scratch: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, [&mut [f32]; N]) -> R + Sync + Send,
) -> ([Vec<f32>; N], Vec<R>) {
    let mut floats: [Vec<f32>; N] = std::array::from_fn(|_| Vec::with_capacity(n));
    let mut chunks = floats.each_mut().map(|floats| floats.spare_capacity_mut()[..n].chunks_mut(chunk.max(1)));
    let count = n.div_ceil(chunk.max(1));
    let chunks: Vec<[&mut [MaybeUninit<f32>]; N]> =
        (0..count).map(|_| chunks.each_mut().map(|chunks| chunks.next().expect("as many as were counted"))).collect();
    let filled = chunks.into_par_iter().enumerate();
    let results = filled.map_init(scratch, |scratch, (i, chunks)| fill(scratch, i, chunks.map(zeroed))).collect();
    // SAFETY: the chunks are all of the n floats, and each was written.
    floats.iter_mut().for_each(|floats| unsafe { floats.set_len(n) });
    (floats, results)
}

fn zeroed(floats: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    floats.fill(MaybeUninit::new(0.0));
    // SAFETY: they were just written.
    unsafe { floats.assume_init_mut() }
}

/// What `of` makes of each chunk of `0..n`, in order.
pub fn each<R: Send>(n: usize, chunk: usize, of: impl Fn(Range<usize>) -> R + Sync + Send) -> Vec<R> {
    let chunks = (0..n.div_ceil(chunk)).into_par_iter();
    chunks.map(|i| of(i * chunk..((i + 1) * chunk).min(n))).collect()
}
