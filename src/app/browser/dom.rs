//! The window, the document, the URL hash, focus, and the clipboard.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

/// The window.
///
/// # Panics
/// Never, because the page runs in a window.
pub fn window() -> web_sys::Window {
    web_sys::window().expect("a page has a window")
}

/// The document.
///
/// # Panics
/// Never, because a window has a document.
pub fn document() -> web_sys::Document {
    window().document().expect("a window has a document")
}

/// The URL hash, including the `#`.
pub fn hash() -> String {
    window().location().hash().unwrap_or_default()
}

/// Sets the URL hash without a new entry in the history.
pub fn set_hash(hash: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(hash));
    }
}

/// Scrolls an element to the top of the window.
pub fn scroll_to(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        element.scroll_into_view();
    }
}

/// Focuses on the element of the first selector that matches one.
pub fn focus_first(selectors: &[&str]) {
    for selector in selectors {
        if let Ok(Some(element)) = document().query_selector(selector)
            && let Ok(element) = element.dyn_into::<HtmlElement>()
        {
            let _ = element.focus();
            return;
        }
    }
}

/// Whether no element has the focus, for example because it was removed.
pub fn is_focus_lost() -> bool {
    document().active_element().is_none_or(|element| element.tag_name() == "BODY")
}

/// Whether the device is a phone or has little memory.
pub fn is_low_end_device() -> bool {
    let memory = Reflect::get(&window().navigator(), &"deviceMemory".into()).ok();
    let gigabytes = memory.and_then(|memory| memory.as_f64());
    let phone_query = window().match_media("(pointer: coarse) and (max-width: 48rem)");
    let is_phone = phone_query.is_ok_and(|query| query.is_some_and(|query| query.matches()));
    is_phone || gigabytes.is_some_and(|gigabytes| gigabytes <= 2.0)
}

/// The drawing context of a canvas.
pub fn canvas_context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

/// Copies text to the clipboard. Returns whether the browser allowed it.
pub async fn copy_text(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Without https there is no clipboard.
    !clipboard.is_undefined() && JsFuture::from(clipboard.write_text(text)).await.is_ok()
}
