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
