//! Font and colors of figures. The font is built in, because servers often have none installed.

use std::sync::Once;

use plotters::style::{FontStyle, RGBColor, register_font};

/// Okabe and Ito's palette for color-blind readers: green for the first (robust) model, vermilion for the second; then
/// black and gray.
pub const COLORS: [RGBColor; 8] = [
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(150, 150, 150),
];

/// Registers the font `sans-serif` with plotters.
///
/// # Panics
/// Never: the built-in font is valid.
pub fn register_sans_serif() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .unwrap_or_else(|_| unreachable!("the built-in font is valid"));
    });
}
