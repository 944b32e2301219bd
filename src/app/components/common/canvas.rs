//! Canvases that show pixels.

use leptos::{html::Canvas, prelude::*};
use wasm_bindgen::Clamped;
use web_sys::{HtmlCanvasElement, ImageData};

use crate::app::browser::dom::canvas_context;

/// A canvas that is redrawn whenever `rgba` changes: pixels `[height, width, 4]` of its size.
pub fn painted_canvas(rgba: impl Fn() -> Option<Vec<u8>> + 'static) -> NodeRef<Canvas> {
    let canvas = NodeRef::<Canvas>::new();
    Effect::new(move |_| {
        if let (Some(canvas), Some(rgba)) = (canvas.get(), rgba()) {
            draw(&canvas, &rgba);
        }
    });
    canvas
}

fn draw(canvas: &HtmlCanvasElement, rgba: &[u8]) {
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), canvas.width(), canvas.height());
    if let (Some(context), Ok(image)) = (canvas_context(canvas), image) {
        let _ = context.put_image_data(&image, 0.0, 0.0);
    }
}
