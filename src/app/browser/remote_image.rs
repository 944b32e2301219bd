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

/// The document of the iframe.
const FRAME_URL: &str = "public/fetch.html";

/// Milliseconds until the iframe must be ready.
const READY_TIMEOUT: u32 = 10_000;

/// Milliseconds until the iframe must answer. Its own timeout is shorter.
const ANSWER_TIMEOUT: u32 = 40_000;

/// Fetches an image as a file.
///
/// # Errors
/// Returns a sentence for the user: the problem, and what to do instead.
pub async fn fetch(url: &ImageUrl) -> Result<File, String> {
    let bytes = match url {
        ImageUrl::Data(text) => Uint8Array::from(image_url::decode_data_url(text)?.as_slice()).into(),
        ImageUrl::Web(text) => request(text).await.map_err(|why| image_url::fetch_error(text, &why))?,
    };
    files::file(&url.name(), &Array::of1(&bytes))
}

/// Requests the bytes of a URL from the iframe.
///
/// # Errors
/// Returns a reason that [`image_url::fetch_error`] explains.
async fn request(url: &str) -> Result<JsValue, String> {
    let sandbox = sandbox_window().await.ok_or("frame")?;
    // To any origin, because that of the iframe is opaque.
    sandbox.post_message(&url.into(), "*").map_err(|_| "frame")?;
    let answer = answer_to(&sandbox, url.into(), ANSWER_TIMEOUT).await.ok_or("time")?;
    answer.as_string().map_or(Ok(answer), Err)
}

/// Waits for the answer of the iframe to `request`; `None` if it does not arrive within `timeout` milliseconds.
async fn answer_to(sandbox: &Window, request: JsValue, timeout: u32) -> Option<JsValue> {
    let mut listener = None;
    let answer = Promise::new(&mut |resolve, reject| {
        Timeout::new(timeout, move || drop(reject.call0(&JsValue::NULL))).forget();
        let (sandbox, request) = (JsValue::from(sandbox), request.clone());
        listener = Some(EventListener::new(&dom::window(), "message", move |event| {
            let event: &MessageEvent = event.unchecked_ref();
            let answer: Array = event.data().unchecked_into();
            if event.source().is_some_and(|source| JsValue::from(source) == sandbox) && answer.get(0) == request {
                let _ = resolve.call1(&JsValue::NULL, &answer.get(1));
            }
        }));
    });
    let answer = JsFuture::from(answer).await.ok();
    drop(listener);
    answer
}

/// The window of the iframe, which is created for the first URL; `None` if it cannot be loaded.
async fn sandbox_window() -> Option<Window> {
    const ID: &str = "fetch-frame";
    let document = dom::document();
    if let Some(frame) = document.get_element_by_id(ID) {
        return frame.unchecked_into::<HtmlIFrameElement>().content_window();
    }
    let frame: HtmlIFrameElement = document.create_element("iframe").ok()?.unchecked_into();
    frame.set_hidden(true);
    frame.set_src(FRAME_URL);
    // With a service worker, a response header sandboxes the iframe instead. Requests of an iframe with this attribute bypass
    // the service worker, and then a cross-origin isolated page cannot load it.
    if service_worker::service_worker().is_none_or(|worker| worker.controller().is_none()) {
        frame.set_attribute("sandbox", "allow-scripts").ok()?;
    }
    document.body()?.append_child(&frame).ok()?;
    let sandbox = frame.content_window()?;
    if answer_to(&sandbox, "ready".into(), READY_TIMEOUT).await.is_none() {
        frame.remove();
        return None;
    }
    frame.set_id(ID);
    Some(sandbox)
}
