//! Opens what is dropped or pasted anywhere on the page: files, and URLs of images.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, Element, Event};

use crate::app::{
    browser::{dom, files::file_list},
    domain::image_url::image_urls,
    runtime::context::AppContext,
};

/// Listens for drops and pastes on the whole window.
pub fn listen(ctx: AppContext) {
    let on_drag = move |e: DragEvent| {
        if e.data_transfer().is_some_and(|data| is_accepted(&e, &data)) {
            e.prevent_default();
            highlight(true);
        }
    };
    window_event_listener(ev::dragenter, on_drag);
    window_event_listener(ev::dragover, on_drag);
    window_event_listener(ev::dragleave, move |e| {
        // There is a related target if the pointer only moves to another element of the page.
        if e.related_target().is_none() {
            highlight(false);
        }
    });
    window_event_listener(ev::drop, move |e| {
        highlight(false);
        let Some(data) = e.data_transfer().filter(|data| is_accepted(&e, data)) else { return };
        e.prevent_default();
        if !open(ctx, &data) {
            ctx.notify("The dropped item is neither a file nor an image with a URL. Save it and drop the file.".into());
        }
    });
    window_event_listener(ev::paste, move |e| {
        let e: ClipboardEvent = e.unchecked_into();
        if let Some(data) = e.clipboard_data().filter(|data| is_accepted(&e, data)) {
            open(ctx, &data);
        }
    });
}

fn highlight(is_dropping: bool) {
    if let Some(body) = dom::document().body() {
        let _ = body.class_list().toggle_with_force("dropping", is_dropping);
    }
}

/// Whether the page handles an event. Text boxes handle text themselves.
fn is_accepted(e: &Event, data: &DataTransfer) -> bool {
    let target = e.target().and_then(|target| target.dyn_into::<Element>().ok());
    let is_text_box = target.is_some_and(|element| element.matches("input[type=text]").unwrap_or(false));
    !is_text_box || data.types().includes(&"Files".into(), 0)
}

/// Opens the files, or else fetches the image of a URL. Returns whether there was either.
fn open(ctx: AppContext, data: &DataTransfer) -> bool {
    let files = file_list(data.files());
    if !files.is_empty() {
        ctx.open_files(files);
        return true;
    }
    let text = |kind| data.get_data(kind).unwrap_or_default();
    let urls = image_urls(&text("text/uri-list"), &text("text/html"), &text("text/plain"));
    if urls.is_empty() {
        return false;
    }
    ctx.fetch_image(urls);
    true
}
