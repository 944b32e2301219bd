//! Ticks of an axis, and their labels.

use crate::app::domain::format::{fixed, places, scientific};

/// At most `at_most` (at least 2) round numbers in the range: multiples of 1, 2 or 5 times a power of ten.
pub fn ticks([low, high]: [f64; 2], at_most: usize) -> Vec<f64> {
    let at_most = at_most.max(2);
    let least = (high - low) / at_most as f64;
    if !(least > 0.0 && least.is_finite()) {
        return Vec::new();
    }
    let power = 10f64.powf(least.log10().floor());
    // The tolerance includes numbers that are outside because of rounding only.
    let within = |step: f64| ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let few = |step: &f64| within(*step).1 - within(*step).0 < at_most as f64;
    let Some(step) = [1.0, 2.0, 5.0, 10.0, 20.0].map(|m| m * power).into_iter().find(few) else {
        return Vec::new();
    };
    let (first, last) = within(step);
    (0..at_most).map(|i| first + i as f64).take_while(|n| *n <= last).map(|n| n * step).collect()
}

/// The labels of the ticks, in the same unit: `0`, `0.5`, `−2k`, `3×10⁻⁵`.
pub fn labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks.iter().fold(0.0f64, |m, t| m.max(t.abs()));
    let step = ticks.windows(2).map(|w| w[1] - w[0]).fold(largest, f64::min);
    let label = |tick: f64| match largest {
        m if m >= 1e9 || (m > 0.0 && m < 1e-3) => scientific(tick, m.log10().floor() as i32, step),
        m if m >= 1e6 && step >= 1e4 => fixed(tick / 1e6, places(step / 1e6)) + if tick == 0.0 { "" } else { "M" },
        m if m >= 1e4 && step >= 1e2 => fixed(tick / 1e3, places(step / 1e3)) + if tick == 0.0 { "" } else { "k" },
        _ => fixed(tick, places(step)),
    };
    ticks.iter().map(|&t| label(t)).collect()
}
