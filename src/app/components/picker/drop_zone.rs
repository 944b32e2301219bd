//! Opens what is dropped or pasted anywhere on the page: files, and URLs of images.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, Element, Event};

use crate::app::{
    browser::{dom, files::file_list},
    domain::image_url,
    runtime::context::AppContext,
};

/// Takes what is dropped or pasted anywhere on the page: files, and addresses of images.
pub fn listen(ctx: AppContext) {
    let mark = |on: bool| {
        if let Some(body) = dom::document().body() {
            let _ = body.class_list().toggle_with_force("dropping", on);
        }
    };
    let over = move |e: DragEvent| {
        if e.data_transfer().is_some_and(|data| is_for_us(&e, &data)) {
            e.prevent_default();
            mark(true);
        }
    };
    window_event_listener(ev::dragenter, over);
    window_event_listener(ev::dragover, over);
    // Leaving the window, not one element for another.
    window_event_listener(ev::dragleave, move |e| {
        if e.related_target().is_none() {
            mark(false);
        }
    });
    window_event_listener(ev::drop, move |e| {
        mark(false);
        if let Some(data) = e.data_transfer().filter(|data| is_for_us(&e, data)) {
            e.prevent_default();
            if !take(ctx, &data) {
                ctx.notify(
                    "What was dropped is neither a file nor an image with an address. Save it and drop the file."
                        .into(),
                );
            }
        }
    });
    window_event_listener(ev::paste, move |e| {
        let e: ClipboardEvent = e.unchecked_into();
        if let Some(data) = e.clipboard_data().filter(|data| is_for_us(&e, data)) {
            take(ctx, &data);
        }
    });
}

/// Files always; the rest unless it goes into a text box, which takes text itself.
fn is_for_us(e: &Event, data: &DataTransfer) -> bool {
    let target = e.target().and_then(|target| target.dyn_into::<Element>().ok());
    let in_box = target.is_some_and(|element| element.matches("input[type=text]").unwrap_or(false));
    !in_box || data.types().includes(&"Files".into(), 0)
}

/// Takes the files, or where there are none the image that an address leads to; whether there was anything to take.
fn take(ctx: AppContext, data: &DataTransfer) -> bool {
    let files = file_list(data.files());
    if !files.is_empty() {
        ctx.open_files(files);
        return true;
    }
    let text = |kind| data.get_data(kind).unwrap_or_default();
    let addresses = image_url::image_urls(&text("text/uri-list"), &text("text/html"), &text("text/plain"));
    let any = !addresses.is_empty();
    if any {
        ctx.fetch_image(addresses);
    }
    any
}
