//! Parallel loops over chunks of floats.

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

/// Fills `N` vectors of `n` floats each, in parallel, chunk by chunk.
///
/// `fill(scratch, i, [the i-th chunk of each vector])` writes chunk `i`; the chunks are zero before. `scratch` makes
/// the working memory of a thread. Returns the vectors and the results of `fill` in order. The threads also write the
/// zeros, because a separate pass over memory would cost extra time.
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
        (0..count).map(|_| chunks.each_mut().map(|chunks| chunks.next().expect("`count` chunks"))).collect();
    let filled = chunks.into_par_iter().enumerate();
    let results = filled.map_init(scratch, |scratch, (i, chunks)| fill(scratch, i, chunks.map(zeroed))).collect();
    // SAFETY: the chunks cover all n floats, and each chunk was initialized.
    floats.iter_mut().for_each(|floats| unsafe { floats.set_len(n) });
    (floats, results)
}

fn zeroed(floats: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    floats.fill(MaybeUninit::new(0.0));
    // SAFETY: the previous line initialized them.
    unsafe { floats.assume_init_mut() }
}

/// Returns `f` of each chunk of `0..n`, computed in parallel, in order.
pub fn map_chunks<R: Send>(n: usize, chunk: usize, f: impl Fn(Range<usize>) -> R + Sync + Send) -> Vec<R> {
    let chunks = (0..n.div_ceil(chunk)).into_par_iter();
    chunks.map(|i| f(i * chunk..((i + 1) * chunk).min(n))).collect()
}
