//! Images from addresses that the user gives. `data:` addresses are read here; what lies elsewhere is fetched by
//! `public/fetch.html`, in a frame of an origin of its own.
//!
//! "Nothing leaves the machine" is thus kept by the browser, not by good will: the page's and the workers'
//! Content-Security-Policy lets them connect to nothing but where they lie, and the frame, whose policy allows more, has
//! neither images nor models, runs one short script that only reads images, and cannot be reached into, as a sandbox
//! makes it a stranger to the page: by its attribute, or by a header of `public/service-worker.js`.

use gloo::{events::EventListener, timers::callback::Timeout};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlIFrameElement, MessageEvent, Window};

use super::{
    browser,
    dropped::{self, Address},
};

const FRAME: &str = "public/fetch.html";

/// Milliseconds until the frame is given up: until it begins, and until it answers, which it gives up itself before.
const READY: u32 = 10_000;
const PATIENCE: u32 = 40_000;

/// The image that lies at an address, as a file.
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
        listener = Some(EventListener::new(&browser::window(), "message", move |event| {
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
    let document = browser::document();
    if let Some(frame) = document.get_element_by_id(ID) {
        return frame.unchecked_into::<HtmlIFrameElement>().content_window();
    }
    let frame: HtmlIFrameElement = document.create_element("iframe").ok()?.unchecked_into();
    frame.set_hidden(true);
    frame.set_src(FRAME);
    // Where there is a service worker that makes it a stranger: of a frame with this attribute no service worker is asked,
    // and then a page that is isolated by one would not load it.
    if browser::service_worker().is_none_or(|worker| worker.controller().is_none()) {
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
