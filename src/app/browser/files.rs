//! Fetching, reading and downloading files.

use gloo::timers::callback::Timeout;
use js_sys::ArrayBuffer;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, File, FileList, HtmlAnchorElement, HtmlCanvasElement, Response, Url};

use crate::app::browser::dom::{document, window};

/// Fetches a file that is served with the page.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn fetch(path: &str) -> Result<ArrayBuffer, String> {
    let failed = |why: &str| format!("{path} could not be fetched ({why}). Check the connection and try again.");
    let response = JsFuture::from(window().fetch_with_str(path)).await.map_err(|_| failed("no answer"))?;
    let response: Response = response.unchecked_into();
    if !response.ok() {
        return Err(failed(&format!("status {}", response.status())));
    }
    let buffer = response.array_buffer().map_err(|_| failed("no content"))?;
    Ok(JsFuture::from(buffer).await.map_err(|_| failed("the connection was interrupted"))?.unchecked_into())
}

/// Reads a file, without blocking the page.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn read(file: &Blob) -> Result<ArrayBuffer, String> {
    let bytes = JsFuture::from(file.array_buffer()).await;
    bytes.map(JsCast::unchecked_into).map_err(|_| "The file could not be read. It may have been moved.".into())
}

/// Downloads a canvas as a PNG file.
pub fn download_canvas(canvas: &HtmlCanvasElement, name: &str) {
    if let Ok(url) = canvas.to_data_url() {
        download(&url, name);
    }
}

/// A `data:` URL with text of this media type.
pub fn data_url(media_type: &str, text: &str) -> String {
    format!("data:{media_type};charset=utf-8,{}", String::from(js_sys::encode_uri_component(text)))
}

/// A URL for a file that is valid as long as the page is open.
pub fn object_url(file: &Blob) -> String {
    Url::create_object_url_with_blob(file).unwrap_or_default()
}

/// Downloads the content of a `data:` or `blob:` URL.
pub fn download(url: &str, name: &str) {
    if let Ok(link) = document().create_element("a") {
        let link: HtmlAnchorElement = link.unchecked_into();
        link.set_href(url);
        link.set_download(name);
        link.click();
    }
}

/// Downloads bytes as a file. The media type depends on the name.
pub fn download_bytes(name: &str, bytes: &[u8]) {
    if let Ok(blob) = blob(name, bytes) {
        let url = object_url(&blob);
        download(&url, name);
        // The memory is released when the browser has certainly read it.
        Timeout::new(60_000, move || drop(Url::revoke_object_url(&url))).forget();
    }
}

/// A blob with these bytes. The media type depends on the name.
///
/// # Errors
/// Returns the exception if there is not enough memory.
pub fn blob(name: &str, bytes: &[u8]) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(if name.ends_with(".png") { "image/png" } else { "application/octet-stream" });
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    Blob::new_with_u8_array_sequence_and_options(&parts, &options)
}

/// A file with this content: `parts` are blobs or buffers.
///
/// # Errors
/// Returns a sentence for the user.
pub fn file(name: &str, parts: &js_sys::Array) -> Result<File, String> {
    File::new_with_blob_sequence(parts, name).map_err(|_| format!("{name} could not be stored in memory."))
}

/// The files of a list.
pub fn file_list(list: Option<FileList>) -> Vec<File> {
    list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))).collect()
}
