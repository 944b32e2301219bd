//! Numbers on axes and in sentences: round, short, with a real minus sign.

/// At most `at_most` (2 at least) round numbers in `range`, in order: multiples of 1, 2 or 5 times a power of ten.
pub fn ticks([low, high]: [f64; 2], at_most: usize) -> Vec<f64> {
    let at_most = at_most.max(2);
    let least = (high - low) / at_most as f64;
    if !(least > 0.0 && least.is_finite()) {
        return Vec::new();
    }
    let power = 10f64.powf(least.log10().floor());
    // A number that is in the range but for rounding is in it.
    let within = |step: f64| ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let few = |step: &f64| within(*step).1 - within(*step).0 < at_most as f64;
    let Some(step) = [1.0, 2.0, 5.0, 10.0, 20.0].map(|m| m * power).into_iter().find(few) else {
        return Vec::new();
    };
    let (first, last) = within(step);
    (0..at_most).map(|i| first + i as f64).take_while(|n| *n <= last).map(|n| n * step).collect()
}

/// The ticks as text, all in the same unit: `0`, `0.5`, `−2k`, `3×10⁻⁵`.
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

/// A number in three significant digits: `0.0123`, `1.5`, `160`, `2×10⁻⁵`; `–` for what is none.
pub fn short(value: f32) -> String {
    let (value, size) = (f64::from(value), f64::from(value).abs());
    match size {
        s if !s.is_finite() => "–".into(),
        0.0 => "0".into(),
        s if !(1e-4..1e7).contains(&s) => {
            let power = s.log10().floor();
            scientific(value, power as i32, 10f64.powf(power - 2.0))
        }
        s => fixed(value, places(10f64.powf(s.log10().floor() - 2.0))),
    }
}

/// Decimal places that a step needs.
fn places(step: f64) -> usize {
    if step > 0.0 { (-step.log10()).ceil().clamp(0.0, 12.0) as usize } else { 0 }
}

/// `value` with at most `places` decimals, none of them a trailing zero.
fn fixed(value: f64, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if value < 0.0 && text != "0" { format!("\u{2212}{text}") } else { text.into() }
}

fn scientific(value: f64, power: i32, step: f64) -> String {
    let unit = 10f64.powi(power);
    let mantissa = fixed(value / unit, places(step / unit));
    if mantissa == "0" {
        return mantissa;
    }
    let raise = |sign: char| match sign {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit.to_digit(10).unwrap_or(0) as usize],
    };
    format!("{mantissa}×10{}", power.to_string().chars().map(raise).collect::<String>())
}
