//! The window, the document, the URL hash, focus, and the clipboard.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

pub fn window() -> web_sys::Window {
    web_sys::window().expect("a page has a window")
}

pub fn document() -> web_sys::Document {
    window().document().expect("a window has a document")
}

/// What follows the address, with its `#`.
pub fn hash() -> String {
    window().location().hash().unwrap_or_default()
}

/// Writes the address without a step in history.
pub fn set_hash(hash: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(hash));
    }
}

/// Brings an element to the top of the window.
pub fn scroll_to(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        element.scroll_into_view();
    }
}

/// Gives the focus to what the first of these selectors finds that finds anything.
pub fn focus_first(selectors: &[&str]) {
    let found = selectors.iter().find_map(|s| document().query_selector(s).ok()??.dyn_into::<HtmlElement>().ok());
    found.map(|element| element.focus());
}

/// Whether nothing has the focus: what had it is gone, say.
pub fn is_focus_lost() -> bool {
    document().active_element().is_none_or(|element| element.tag_name() == "BODY")
}

/// Whether this is a phone, or has as little memory.
pub fn is_weak() -> bool {
    let memory =
        Reflect::get(&window().navigator(), &"deviceMemory".into()).ok().and_then(|gigabytes| gigabytes.as_f64());
    let phone = window().match_media("(pointer: coarse) and (max-width: 48rem)");
    memory.is_some_and(|gigabytes| gigabytes <= 2.0) || phone.is_ok_and(|query| query.is_some_and(|q| q.matches()))
}

pub fn canvas_context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

/// Puts text on the clipboard; whether the browser let it.
pub async fn copy_text(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Not without https.
    !clipboard.is_undefined() && JsFuture::from(clipboard.write_text(text)).await.is_ok()
}
