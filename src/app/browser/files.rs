//! Fetching, reading and downloading files.

use gloo::timers::callback::Timeout;
use js_sys::ArrayBuffer;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, File, FileList, HtmlAnchorElement, HtmlCanvasElement, Response, Url};

use crate::app::browser::dom::{document, window};

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

/// Saves a canvas as a PNG file.
pub fn download_canvas(canvas: &HtmlCanvasElement, name: &str) {
    if let Ok(address) = canvas.to_data_url() {
        download(&address, name);
    }
}

/// Text as an address of its own, of the given media type.
pub fn data_url(kind: &str, text: &str) -> String {
    format!("data:{kind};charset=utf-8,{}", String::from(js_sys::encode_uri_component(text)))
}

/// An address for a file, for as long as the page lives.
pub fn object_url(file: &Blob) -> String {
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
        let address = object_url(&blob);
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

/// The files of a list.
pub fn file_list(list: Option<FileList>) -> Vec<File> {
    list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))).collect()
}
