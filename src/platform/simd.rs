//! Picks the widest vectors that this processor has, at run time on x86-64: a plain build is fast everywhere.

/// Code that is compiled once per vector width. Every implementation and what it calls must be `#[inline(always)]`, so
/// that it ends up inside the function that carries the target features.
pub trait Kernel {
    type Output;

    /// `L`: the lanes of a vector of `f32`; `FMA`: whether the processor multiplies and adds in one instruction.
    fn run<const L: usize, const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` with the vectors of this processor.
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both features.
        return unsafe { avx2(kernel) };
    }
    // SSE2, NEON and WebAssembly's simd128.
    kernel.run::<4, false>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<8, true>()
}

/// Floats of the vectors that [`run`] picks.
pub fn lanes() -> usize {
    struct Lanes;
    impl Kernel for Lanes {
        type Output = usize;
        #[inline(always)]
        fn run<const L: usize, const FMA: bool>(self) -> usize {
            L
        }
    }
    run(Lanes)
}

/// `acc + a * b`, lane by lane.
#[inline(always)]
pub fn multiply_add<const L: usize, const FMA: bool>(acc: &mut [f32; L], a: &[f32; L], b: &[f32; L]) {
    for ((acc, a), b) in acc.iter_mut().zip(a).zip(b) {
        *acc = if FMA { a.mul_add(*b, *acc) } else { *acc + a * b };
    }
}

/// `N` floats from position `at` on.
#[inline(always)]
pub fn load<const N: usize>(from: &[f32], at: usize) -> [f32; N] {
    from[at..at + N].try_into().expect("N floats")
}

/// Asks for the cache line of position `at` before it is needed; where there is no instruction for it, nothing happens.
#[inline(always)]
pub fn prefetch(from: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, at);
}
