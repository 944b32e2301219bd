//! SIMD with the widest vectors of the processor. On x86-64 they are selected at run time, so a build without target
//! flags is fast on every processor.

/// Code that is compiled once per vector width. Every implementation and everything it calls must be
/// `#[inline(always)]`, so that it is inlined into the function that enables the target features.
pub trait Kernel {
    /// Result of the computation.
    type Output;

    /// Computes with vectors of `L` lanes of `f32`. `FMA`: whether the processor multiplies and adds in one
    /// instruction.
    fn run<const L: usize, const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` with the widest vectors of this processor.
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor supports both features.
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

/// Returns the number of lanes of the vectors that [`run`] selects.
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

/// Adds `a * b` to `acc`, lane by lane.
#[inline(always)]
pub fn multiply_add<const L: usize, const FMA: bool>(acc: &mut [f32; L], a: &[f32; L], b: &[f32; L]) {
    for ((acc, a), b) in acc.iter_mut().zip(a).zip(b) {
        *acc = if FMA { a.mul_add(*b, *acc) } else { *acc + a * b };
    }
}

/// Returns the `N` floats from position `at` on.
///
/// # Panics
/// If there are fewer floats.
#[inline(always)]
pub fn load<const N: usize>(from: &[f32], at: usize) -> [f32; N] {
    from[at..at + N].try_into().expect("N floats")
}

/// Prefetches the cache line of position `at` of `from`. Does nothing on processors other than x86-64.
#[inline(always)]
pub fn prefetch(from: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint and accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, at);
}

/// A SIMD vector of `f32`, for code that must not depend on the compiler's auto-vectorization.
pub trait Vector: Copy {
    /// Number of floats.
    const LANES: usize;
    /// Loads a vector.
    ///
    /// # Safety
    /// `from` must be valid for reading `LANES` floats.
    unsafe fn load(from: *const f32) -> Self;
    /// Stores the vector.
    ///
    /// # Safety
    /// `to` must be valid for writing `LANES` floats.
    unsafe fn store(self, to: *mut f32);
    /// Returns a vector with `value` in every lane.
    fn splat(value: f32) -> Self;
    /// Returns `self + other`.
    fn add(self, other: Self) -> Self;
    /// Returns `self - other`.
    fn sub(self, other: Self) -> Self;
    /// Returns `self * other`.
    fn mul(self, other: Self) -> Self;

    /// Returns `self + a * b`, with a single rounding if the processor supports it.
    #[inline(always)]
    fn multiply_add(self, a: Self, b: Self) -> Self {
        self.add(a.mul(b))
    }
}

/// A [`Kernel`] that is written in terms of [`Vector`]. The same rule about inlining applies.
pub trait VectorKernel {
    /// Computes with vectors of type `V`.
    fn run<V: Vector>(self);
}

/// Implements [`Vector`] by the intrinsics for `load store splat add sub mul` and, if present, fused multiply-add.
macro_rules! vector {
    ($type:ident, $lanes:literal, $arch:ident, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $($fma:ident)?) => {
        // SAFETY: the type is used only after a check that the processor supports its instructions.
        // Some of the intrinsics are safe functions on some targets.
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

/// Runs `kernel` with the widest vectors of this processor, which have the same number of lanes as those of [`run`].
pub fn run_vectors(kernel: impl VectorKernel) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor supports both features.
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
