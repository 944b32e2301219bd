//! What the page asks of the browser.

use gloo::timers::callback::Timeout;
use js_sys::{ArrayBuffer, Function, Promise, Reflect};
use leptos::{html::Canvas, prelude::*};
use wasm_bindgen::{Clamped, prelude::*};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, CanvasRenderingContext2d, File, HtmlAnchorElement, HtmlCanvasElement, HtmlElement,
    ImageData, Response, ServiceWorkerContainer, Url,
};

use super::reading::GpuAdapter;

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

/// Not where browsers have no service workers: private windows, files, plain http.
pub fn service_worker() -> Option<ServiceWorkerContainer> {
    let navigator = window().navigator();
    let has = Reflect::has(&navigator, &"serviceWorker".into()).unwrap_or(false);
    has.then(|| navigator.service_worker())
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

/// Fetches a file that comes with the page.
pub async fn fetch(path: &str) -> Result<ArrayBuffer, String> {
    let failed =
        |why: &str| format!("{path} could not be fetched ({why}). Check the connection, then choose it again.");
    let response = JsFuture::from(window().fetch_with_str(path)).await.map_err(|_| failed("no answer"))?;
    let response: Response = response.unchecked_into();
    if !response.ok() {
        return Err(failed(&format!("status {}", response.status())));
    }
    let buffer = response.array_buffer().map_err(|_| failed("no content"))?;
    Ok(JsFuture::from(buffer).await.map_err(|_| failed("it broke off"))?.unchecked_into())
}

/// The bytes of a file that the user brought; the browser reads them beside the main thread.
pub async fn read(file: &Blob) -> Result<ArrayBuffer, String> {
    let bytes = JsFuture::from(file.array_buffer()).await;
    bytes.map(JsCast::unchecked_into).map_err(|_| "The file could not be read; it may have been moved.".into())
}

/// Whether this is a phone, or has as little memory.
pub fn is_weak() -> bool {
    let memory =
        Reflect::get(&window().navigator(), &"deviceMemory".into()).ok().and_then(|gigabytes| gigabytes.as_f64());
    let phone = window().match_media("(pointer: coarse) and (max-width: 48rem)");
    memory.is_some_and(|gigabytes| gigabytes <= 2.0) || phone.is_ok_and(|query| query.is_some_and(|q| q.matches()))
}

/// What WebGPU offers. By reflection, as web-sys has WebGPU only behind a compiler flag.
pub async fn adapter() -> GpuAdapter {
    let get = |of: &JsValue, key: &str| Reflect::get(of, &key.into()).unwrap_or(JsValue::UNDEFINED);
    let gpu = get(&window().navigator(), "gpu");
    if gpu.is_falsy() {
        let secure = window().is_secure_context();
        return GpuAdapter::None(if secure { "this browser has no WebGPU" } else { "WebGPU needs https" });
    }
    let ask = || -> Option<Promise> {
        let options = js_sys::Object::new();
        Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
        get(&gpu, "requestAdapter").dyn_ref::<Function>()?.call1(&gpu, &options).ok()?.dyn_into().ok()
    };
    let Some(promise) = ask() else {
        return GpuAdapter::None("this browser has no WebGPU");
    };
    let Ok(adapter) = JsFuture::from(promise).await else {
        return GpuAdapter::None("WebGPU does not answer");
    };
    if adapter.is_falsy() {
        return GpuAdapter::None("WebGPU finds no GPU here");
    }
    let info = get(&adapter, "info");
    let text = |key: &str| get(&info, key).as_string().unwrap_or_default();
    let fallback = get(&info, "isFallbackAdapter").is_truthy() || get(&adapter, "isFallbackAdapter").is_truthy();
    GpuAdapter::judge(&text("vendor"), &text("architecture"), &text("description"), fallback)
}

/// Saves a canvas as a PNG file.
pub fn save(canvas: &HtmlCanvasElement, name: &str) {
    if let Ok(address) = canvas.to_data_url() {
        download(&address, name);
    }
}

/// Text as an address of its own, of the given media type.
pub fn address(kind: &str, text: &str) -> String {
    format!("data:{kind};charset=utf-8,{}", String::from(js_sys::encode_uri_component(text)))
}

/// An address for a file, for as long as the page lives.
pub fn address_of(file: &Blob) -> String {
    Url::create_object_url_with_blob(file).unwrap_or_default()
}

/// Saves what is at an address that holds its own content.
pub fn download(address: &str, name: &str) {
    if let Ok(link) = document().create_element("a") {
        let link: HtmlAnchorElement = link.unchecked_into();
        link.set_href(address);
        link.set_download(name);
        link.click();
    }
}

/// Gives the user a file; of which kind tells its name.
pub fn download_bytes(name: &str, bytes: &[u8]) {
    if let Ok(blob) = blob(name, bytes) {
        let address = address_of(&blob);
        download(&address, name);
        // By then the browser has it; until then it is kept in memory.
        Timeout::new(60_000, move || drop(Url::revoke_object_url(&address))).forget();
    }
}

/// Bytes as a file's content.
pub fn blob(name: &str, bytes: &[u8]) -> Result<Blob, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type(if name.ends_with(".png") { "image/png" } else { "application/octet-stream" });
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    Blob::new_with_u8_array_sequence_and_options(&parts, &kind)
}

/// A file as if the user had brought it; `parts` are blobs or buffers.
pub fn file(name: &str, parts: &js_sys::Array) -> Result<File, String> {
    File::new_with_blob_sequence(parts, name).map_err(|_| format!("{name} could not be kept."))
}

/// A canvas on which `rgba`, pixels `[height, width, 4]` of its size, is drawn whenever there is something new.
pub fn painted(rgba: impl Fn() -> Option<Vec<u8>> + 'static) -> NodeRef<Canvas> {
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
    if let (Some(context), Ok(image)) = (context(canvas), image) {
        let _ = context.put_image_data(&image, 0.0, 0.0);
    }
}

pub fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}
