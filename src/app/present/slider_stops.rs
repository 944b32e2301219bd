//! Slider stops for settings whose ranges span orders of magnitude. The text box beside a slider takes any value in range.

use crate::{
    attack::Norm,
    settings::{Pixels, Setting, Value},
};

/// Mantissas of the stops of each power of ten.
const MANTISSAS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0];

/// The smallest power of ten of real-valued settings.
const MIN_POWER: i32 = -3;

/// The slider stops of a setting, as text that the setting parses; empty if the setting has no range.
pub fn stops(setting: &Setting, norm: Norm) -> Vec<String> {
    let Some([low, high]) = setting.range else {
        return Vec::new();
    };
    if setting.unit == "pixel" {
        return pixel_stops(norm);
    }
    if high <= 1.0 {
        return (0..=20).map(|i| (low + (high - low) * f64::from(i) / 20.0).to_string()).collect();
    }
    let mut stops = Vec::new();
    if low == 0.0 {
        stops.push("0".to_owned());
    }
    let is_integer = setting.whole || low > 0.0;
    for power in if is_integer { 0 } else { MIN_POWER }.. {
        // A quotient, unlike a product with 0.001, is the number closest to its decimal notation.
        let unit = 10f64.powi(power.abs());
        let values = MANTISSAS.map(|mantissa| if power < 0 { mantissa / unit } else { mantissa * unit });
        if values[0] > high {
            break;
        }
        let is_valid = |value: &f64| (low..=high).contains(value) && (!is_integer || value.fract() == 0.0);
        stops.extend(values.into_iter().filter(is_valid).map(|value| value.to_string()));
    }
    stops
}

/// The stops of a radius. L2 and L1 norms are larger than the L-infinity norm.
fn pixel_stops(norm: Norm) -> Vec<String> {
    let (step, denominator) = match norm {
        Norm::Linf => (0.5, 255.0),
        Norm::L2 => (8.0, 255.0),
        Norm::L1 => (0.5, 1.0),
    };
    // The division comes last, as in the parser of fractions, so that the number is displayed as a fraction.
    (0..=64).map(|i| Pixels(i as f32 * step / denominator).show()).collect()
}

/// The index of the stop nearest to a value.
pub fn nearest(stops: &[String], value: &str) -> usize {
    let number = |text: &str| Pixels::parse(text).map_or(0.0, |pixels| pixels.0);
    let distance = |i: &usize| (number(&stops[*i]) - number(value)).abs();
    (0..stops.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}
