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

/// A vector of `f32`, for code that the compiler may not leave in single floats or in memory.
pub trait Vector: Copy {
    const LANES: usize;
    /// # Safety
    /// There are that many floats at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// There is room for that many floats at `to`.
    unsafe fn store(self, to: *mut f32);
    fn splat(value: f32) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;

    /// `self + a * b`, rounded once where the processor can.
    #[inline(always)]
    fn multiply_add(self, a: Self, b: Self) -> Self {
        self.add(a.mul(b))
    }
}

/// [`Kernel`] in terms of vectors.
pub trait VectorKernel {
    /// `#[inline(always)]`, and all that it calls.
    fn run<V: Vector>(self);
}

/// `load store splat add sub mul`, and what else there is.
macro_rules! vector {
    ($type:ident, $lanes:literal, $arch:ident, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $($fma:ident)?) => {
        // SAFETY: a processor that has the type's instructions is asked for where the type is chosen.
        #[allow(unused_unsafe)]
        impl Vector for std::arch::$arch::$type {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                unsafe { std::arch::$arch::$load(from.cast()) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { std::arch::$arch::$store(to.cast(), self) }
            }

            #[inline(always)]
            fn splat(value: f32) -> Self {
                unsafe { std::arch::$arch::$splat(value) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                unsafe { std::arch::$arch::$add(self, other) }
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                unsafe { std::arch::$arch::$sub(self, other) }
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                unsafe { std::arch::$arch::$mul(self, other) }
            }

            $(
                #[inline(always)]
                fn multiply_add(self, a: Self, b: Self) -> Self {
                    unsafe { std::arch::$arch::$fma(a, b, self) }
                }
            )?
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector!(__m256, 8, x86_64, _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps);
#[cfg(target_arch = "x86_64")]
vector!(__m128, 4, x86_64, _mm_loadu_ps _mm_storeu_ps _mm_set1_ps _mm_add_ps _mm_sub_ps _mm_mul_ps);
#[cfg(target_arch = "wasm32")]
vector!(v128, 4, wasm32, v128_load v128_store f32x4_splat f32x4_add f32x4_sub f32x4_mul);
#[cfg(target_arch = "aarch64")]
vector!(float32x4_t, 4, aarch64, vld1q_f32 vst1q_f32 vdupq_n_f32 vaddq_f32 vsubq_f32 vmulq_f32);

/// Runs `kernel` with the vectors of this processor, as many lanes as [`run`] takes.
pub fn run_vectors(kernel: impl VectorKernel) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both features.
            return unsafe { avx2_vectors(kernel) };
        }
        kernel.run::<std::arch::x86_64::__m128>()
    }
    #[cfg(target_arch = "wasm32")]
    kernel.run::<std::arch::wasm32::v128>();
    #[cfg(target_arch = "aarch64")]
    kernel.run::<std::arch::aarch64::float32x4_t>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2_vectors(kernel: impl VectorKernel) {
    kernel.run::<std::arch::x86_64::__m256>()
}
