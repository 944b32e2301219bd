//! Peak speed of the machine: multiply-adds on registers only.

use std::{hint::black_box, time::Instant};

/// Seconds of one measurement.
const SECONDS: f64 = 0.2;
/// Number of measurements. The fastest counts, because disturbances only make a measurement slower.
const TRIES: usize = 3;

/// Returns GFLOP/s of one thread.
pub fn of_one() -> f64 {
    let rounds = calibrate();
    best(|| multiply_add(rounds))
}

/// Returns GFLOP/s of all threads of rayon together.
pub fn of_all() -> f64 {
    let rounds = calibrate();
    best(|| rayon::broadcast(|_| multiply_add(rounds)).iter().sum())
}

/// Returns the number of rounds that take [`SECONDS`].
fn calibrate() -> u64 {
    let rounds = 1 << 20;
    let begin = Instant::now();
    multiply_add(rounds);
    (rounds as f64 * SECONDS / begin.elapsed().as_secs_f64()) as u64
}

/// Returns the highest rate of several measurements.
fn best(work: impl Fn() -> u64) -> f64 {
    let rate = |_| {
        let begin = Instant::now();
        2e-9 * work() as f64 / begin.elapsed().as_secs_f64()
    };
    (0..TRIES).map(rate).fold(0.0, f64::max)
}

/// Runs multiply-adds on independent accumulators, enough of them to hide the latency of an instruction. Returns the
/// number of multiply-adds.
fn multiply_add(rounds: u64) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor supports the instructions that the function is compiled for.
            return unsafe { x86::avx512(rounds) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor supports the instructions that the function is compiled for.
            return unsafe { x86::fma(rounds) };
        }
    }
    portable(rounds)
}

/// In each round every accumulator becomes half of itself plus 1. `black_box` hides these values and the initial values
/// from the compiler, which would otherwise merge equal accumulators.
macro_rules! rounds {
    ($rounds:expr, $lanes:literal x $accumulators:literal, $splat:expr, $multiply_add:expr) => {{
        let (half, one) = (black_box($splat(0.5)), black_box($splat(1.0)));
        let mut sums = black_box([$splat(0.0); $accumulators]);
        for _ in 0..$rounds {
            for sum in &mut sums {
                *sum = $multiply_add(*sum, half, one);
            }
        }
        black_box(sums);
        $rounds * $lanes * $accumulators
    }};
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, hint::black_box};

    #[target_feature(enable = "avx512f")]
    pub fn avx512(rounds: u64) -> u64 {
        rounds!(rounds, 16 x 16, _mm512_set1_ps, _mm512_fmadd_ps)
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn fma(rounds: u64) -> u64 {
        rounds!(rounds, 8 x 12, _mm256_set1_ps, _mm256_fmadd_ps)
    }
}

/// Code for other processors. Multiply and add are separate operations, because not every processor can fuse them.
fn portable(rounds: u64) -> u64 {
    let multiply_add = |x: [f32; 4], a: [f32; 4], b: [f32; 4]| std::array::from_fn(|i| x[i] * a[i] + b[i]);
    rounds!(rounds, 4 x 12, |v: f32| [v; 4], multiply_add)
}
