//! Fetches images from URLs that the user gives. `data:` URLs are decoded here; all others are fetched by
//! `public/fetch.html` in an iframe with an opaque origin.
//!
//! The browser itself thus enforces that images and models never leave the machine: the Content-Security-Policy of the page
//! and of the workers allows connections to the page's own origin only. The iframe, whose policy allows more, holds no
//! images or models, runs one short script that only fetches images, and is sandboxed (by its attribute, or by a header
//! that `public/service-worker.js` adds), so that neither side can reach into the other.

use gloo::{events::EventListener, timers::callback::Timeout};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlIFrameElement, MessageEvent, Window};

use crate::app::{
    browser::{dom, files, service_worker},
    domain::image_url::{self, ImageUrl},
};

const FRAME: &str = "public/fetch.html";

/// Milliseconds until the frame is given up: until it begins, and until it answers, which it gives up itself before.
const READY: u32 = 10_000;

const PATIENCE: u32 = 40_000;

/// The image that lies at an address, as a file.
///
/// # Errors
/// A sentence: why there is none, and what to do instead.
pub async fn fetch(address: &ImageUrl) -> Result<File, String> {
    let bytes = match address {
        ImageUrl::Data(text) => Uint8Array::from(image_url::decode_data_url(text)?.as_slice()).into(),
        ImageUrl::Web(text) => ask(text).await.map_err(|why| image_url::fetch_error(text, &why))?,
    };
    files::file(&address.name(), &Array::of1(&bytes))
}

/// The bytes at an address, or the frame's word on why there are none.
async fn ask(address: &str) -> Result<JsValue, String> {
    let stranger = frame().await.ok_or("frame")?;
    // To any origin, as the frame has none.
    stranger.post_message(&address.into(), "*").map_err(|_| "frame")?;
    let answer = said(&stranger, address.into(), PATIENCE).await.ok_or("time")?;
    answer.as_string().map_or(Ok(answer), Err)
}

/// What the frame says about `what` within so many milliseconds.
async fn said(stranger: &Window, what: JsValue, patience: u32) -> Option<JsValue> {
    let mut listener = None;
    let answer = Promise::new(&mut |resolve, reject| {
        Timeout::new(patience, move || drop(reject.call0(&JsValue::NULL))).forget();
        let (stranger, what) = (JsValue::from(stranger), what.clone());
        listener = Some(EventListener::new(&dom::window(), "message", move |event| {
            let event: &MessageEvent = event.unchecked_ref();
            let answer: Array = event.data().unchecked_into();
            if event.source().is_some_and(|source| JsValue::from(source) == stranger) && answer.get(0) == what {
                let _ = resolve.call1(&JsValue::NULL, &answer.get(1));
            }
        }));
    });
    let answer = JsFuture::from(answer).await.ok();
    drop(listener);
    answer
}

/// The frame, begun with the first address; none if it does not begin.
async fn frame() -> Option<Window> {
    const ID: &str = "fetch-frame";
    let document = dom::document();
    if let Some(frame) = document.get_element_by_id(ID) {
        return frame.unchecked_into::<HtmlIFrameElement>().content_window();
    }
    let frame: HtmlIFrameElement = document.create_element("iframe").ok()?.unchecked_into();
    frame.set_hidden(true);
    frame.set_src(FRAME);
    // Where there is a service worker that makes it a stranger: of a frame with this attribute no service worker is asked,
    // and then a page that is isolated by one would not load it.
    if service_worker::service_worker().is_none_or(|worker| worker.controller().is_none()) {
        frame.set_attribute("sandbox", "allow-scripts").ok()?;
    }
    document.body()?.append_child(&frame).ok()?;
    let stranger = frame.content_window()?;
    if said(&stranger, "ready".into(), READY).await.is_none() {
        frame.remove();
        return None;
    }
    frame.set_id(ID);
    Some(stranger)
}
