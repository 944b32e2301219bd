//! Slider stops for settings whose ranges span orders of magnitude. The text box beside a slider takes any value in range.

use crate::{
    attack::Norm,
    settings::{Pixels, Setting, Value},
};

/// The values at which a number's slider stops, as text that the setting takes; none for settings without a range.
pub fn stops(setting: &Setting, norm: Norm) -> Vec<String> {
    let Some([low, high]) = setting.range else {
        return Vec::new();
    };
    if setting.unit == "pixel" {
        // Half steps of 8 bit up to 32/255; lengths and sums are larger.
        let [part, whole] = match norm {
            Norm::Linf => [0.5, 255.0],
            Norm::L2 => [8.0, 255.0],
            Norm::L1 => [0.5, 1.0],
        };
        // Divided last: the very number that the fraction is read as, so that it is written as one.
        return (0..=64).map(|i| Pixels(i as f32 * part / whole).show()).collect();
    }
    if high <= 1.0 {
        return (0..=20).map(|i| format!("{}", low + (high - low) * f64::from(i) / 20.0)).collect();
    }
    let mut stops: Vec<String> = (low == 0.0).then(|| "0".into()).into_iter().collect();
    let counted = setting.whole || low > 0.0;
    for power in if counted { 0 } else { -3 }.. {
        // Divided rather than multiplied by a fraction: the very number that is written.
        let unit = 10f64.powi(i32::abs(power));
        let nice = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0].map(|n: f64| if power < 0 { n / unit } else { n * unit });
        if nice[0] > high {
            break;
        }
        let fits = |n: &f64| (low..=high).contains(n) && (!counted || n.fract() == 0.0);
        stops.extend(nice.into_iter().filter(fits).map(|n| n.to_string()));
    }
    stops
}

/// The stop nearest to a value.
pub fn nearest(stops: &[String], value: &str) -> usize {
    let number = |text: &str| Pixels::parse(text).map_or(0.0, |p| p.0);
    let distance = |i: &usize| (number(&stops[*i]) - number(value)).abs();
    (0..stops.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}
