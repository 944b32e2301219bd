//! Pictures from addresses that the visitor gives. `data:` addresses are read here; what lies elsewhere is fetched by
//! `public/fetch.html`, in a frame of an origin of its own.
//!
//! "Nothing leaves the machine" is thus kept by the browser, not by good will: the page's and the workers'
//! Content-Security-Policy lets them connect to nothing but where they lie, and the frame, whose policy allows more, has
//! neither pictures nor models, runs one short script that only reads pictures, and cannot be reached into, as its sandbox
//! makes it a stranger to the page.

use gloo::{events::EventListener, timers::callback::Timeout};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlIFrameElement, MessageEvent};

use super::{
    browser,
    dropped::{self, Address},
};

const FRAME: &str = "public/fetch.html";

/// Milliseconds until the frame is given up; it gives up itself before.
const PATIENCE: u32 = 40_000;

/// The picture that lies at an address, as a file.
///
/// # Errors
/// A sentence: why there is none, and what to do instead.
pub async fn read(address: &Address) -> Result<File, String> {
    let bytes = match address {
        Address::Data(text) => Uint8Array::from(dropped::data(text)?.as_slice()).into(),
        Address::Web(text) => ask(text).await.map_err(|why| dropped::unreachable(text, &why))?,
    };
    browser::file(&address.name(), &Array::of1(&bytes))
}

/// The bytes at an address, or the frame's word on why there are none.
async fn ask(address: &str) -> Result<JsValue, String> {
    let frame = frame().await.ok_or("frame")?;
    let stranger = frame.content_window().ok_or("frame")?;
    let mut listener = None;
    let answer = Promise::new(&mut |resolve, _| {
        let late = resolve.clone();
        Timeout::new(PATIENCE, move || drop(late.call1(&JsValue::NULL, &"time".into()))).forget();
        let (stranger, address) = (JsValue::from(&stranger), JsValue::from(address));
        // Whose answer, and to what.
        listener = Some(EventListener::new(&browser::window(), "message", move |event| {
            let event: &MessageEvent = event.unchecked_ref();
            let answer: Array = event.data().unchecked_into();
            if event.source().is_some_and(|source| JsValue::from(source) == stranger) && answer.get(0) == address {
                let _ = resolve.call1(&JsValue::NULL, &answer.get(1));
            }
        }));
    });
    // To any origin, as the frame has none.
    stranger.post_message(&address.into(), "*").map_err(|_| "frame")?;
    let answer = JsFuture::from(answer).await.map_err(|_| "frame")?;
    drop(listener);
    answer.as_string().map_or(Ok(answer), Err)
}

/// The frame, begun with the first address.
async fn frame() -> Option<HtmlIFrameElement> {
    let document = browser::document();
    if let Some(frame) = document.get_element_by_id("fetch-frame") {
        return frame.dyn_into().ok();
    }
    let frame: HtmlIFrameElement = document.create_element("iframe").ok()?.unchecked_into();
    for (name, value) in [("id", "fetch-frame"), ("hidden", ""), ("sandbox", "allow-scripts"), ("src", FRAME)] {
        frame.set_attribute(name, value).ok()?;
    }
    let loaded = Promise::new(&mut |resolve, _| {
        let _ = frame.add_event_listener_with_callback("load", &resolve);
    });
    document.body()?.append_child(&frame).ok()?;
    JsFuture::from(loaded).await.ok()?;
    Some(frame)
}
