//! How images of results look: a font of our own, since machines without a screen often have none, and colors.

use std::sync::Once;

use plotters::style::{FontStyle, RGBColor, register_font};

/// Okabe and Ito's palette, safe for color-blind eyes: green for the first (robust) model, vermilion for the second; then
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

/// Makes `sans-serif` known to plotters.
pub fn register_sans_serif() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .unwrap_or_else(|_| unreachable!("the font comes with a library and is whole"));
    });
}
