//! A font of our own for pictures: machines without a screen often have none.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

/// Makes `sans-serif` known to plotters.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .unwrap_or_else(|_| unreachable!("the font comes with a library and is whole"));
    });
}
