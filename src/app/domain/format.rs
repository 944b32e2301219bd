//! Numbers as text: significant digits, percentages, distances, intervals.

use crate::evaluate::wilson;

/// Formats a number with three significant digits: `0.0123`, `1.5`, `160`, `2×10⁻⁵`; `–` if it is not finite.
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

/// Number of decimals that distinguish values `step` apart.
pub(crate) fn places(step: f64) -> usize {
    if step > 0.0 { (-step.log10()).ceil().clamp(0.0, 12.0) as usize } else { 0 }
}

/// Formats `value` with at most `places` decimals and without trailing zeros.
pub(crate) fn fixed(value: f64, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if value < 0.0 && text != "0" { format!("\u{2212}{text}") } else { text.into() }
}

/// Formats `value` as a multiple of 10 to the `power`, with the decimals that distinguish values `step` apart.
pub(crate) fn scientific(value: f64, power: i32, step: f64) -> String {
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

/// Formats a probability in [0,1] as a percentage of at most four characters. Only exact values appear as `0 %` and
/// `100 %`.
pub fn percent(p: f32) -> String {
    match p * 100.0 {
        x if !x.is_finite() => "–".into(),
        x if x > 0.0 && x < 1.0 => "< 1 %".into(),
        x if x > 99.0 && p < 1.0 => "> 99 %".into(),
        x => format!("{x:.0} %"),
    }
}

/// Inserts no-break spaces between numbers and their signs and units.
pub fn with_nbsp(text: &str) -> String {
    text.replace(" %", "\u{a0}%").replace("> ", ">\u{a0}").replace("< ", "<\u{a0}")
}

/// Formats a distance between pixels in [0,1] in units of 1/255.
pub fn in_255ths(d: f32) -> String {
    let steps = d * 255.0;
    if (steps - steps.round()).abs() < 0.005 { format!("{steps:.0}/255") } else { format!("{steps:.1}/255") }
}

/// Formats the 95 % Wilson interval of a share in [0,1] of `images` images: `22 to 48 %`.
pub fn interval(share: f64, images: usize) -> String {
    let [low, high] = wilson(share, images).map(|end| 100.0 * end);
    format!("{low:.0} to {high:.0} %")
}

/// Formats a number with narrow spaces between groups of three digits: `78 042`.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Formats a share as a percentage with two significant digits: `0.5 %`, `1.6 %`, `160 %`; `–` if it is not finite.
pub fn share(part: f32) -> String {
    match 100.0 * part {
        p if !p.is_finite() => "–".into(),
        p if p.abs() >= 10.0 => format!("{} %", short(p.round())),
        p => format!("{} %", short(two_digits(p))),
    }
}

/// Rounds to two significant digits.
fn two_digits(value: f32) -> f32 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10f32.powf(value.abs().log10().floor() - 1.0);
    if unit > 0.0 { (value / unit).round() * unit } else { value }
}

/// Formats the ratio of `a` to `b` with two significant digits; `None` if it is not positive and finite.
pub fn times(a: f32, b: f32) -> Option<String> {
    let ratio = a / b;
    (ratio.is_finite() && ratio > 0.0).then(|| short(two_digits(ratio)))
}

/// Capitalizes the first letter.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
