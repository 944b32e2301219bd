//! The camera: opens its stream and takes an image.

use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DomException, HtmlCanvasElement, HtmlVideoElement};

use crate::app::browser::{dom, files};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["navigator", "mediaDevices"], js_name = getUserMedia)]
    async fn get_user_media(constraints: &JsValue) -> Result<JsValue, JsValue>;

    /// A `MediaStream`.
    #[derive(Clone)]
    pub type Stream;
    #[wasm_bindgen(method, js_name = getTracks)]
    fn tracks(this: &Stream) -> Array;

    type Track;
    #[wasm_bindgen(method)]
    fn stop(this: &Track);
}

/// Turns on the camera: the back camera of a phone.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn open() -> Result<Stream, String> {
    let object = |key: &str, value: &JsValue| {
        let result = Object::new();
        let _ = Reflect::set(&result, &key.into(), value);
        result
    };
    let constraints = object("video", &object("facingMode", &"environment".into()));
    let stream = get_user_media(&constraints).await.map_err(|error| {
        let name = error.dyn_ref::<DomException>().map(DomException::name).unwrap_or_default();
        let problem = match name.as_str() {
            "NotAllowedError" => "permission was denied. Allow it in the address bar and try again",
            "NotFoundError" | "OverconstrainedError" => "this device has no camera",
            "NotReadableError" => "another program uses it. Close that program and try again",
            _ if !dom::window().is_secure_context() => "this browser requires https",
            _ => "the browser gave no reason",
        };
        format!("The camera cannot be used: {problem}. You can also open or drop an image.")
    })?;
    Ok(stream.unchecked_into())
}

/// Turns off the camera.
pub fn close(stream: &Stream) {
    for track in stream.tracks().iter() {
        track.unchecked_ref::<Track>().stop();
    }
}

/// Takes an image of the current frame, as a PNG file.
///
/// # Errors
/// Returns a sentence for the user.
pub async fn take_image(video: &HtmlVideoElement) -> Result<web_sys::File, String> {
    let failed = || "The camera returned no image. Try again.".to_owned();
    let canvas: HtmlCanvasElement = dom::document().create_element("canvas").map_err(|_| failed())?.unchecked_into();
    canvas.set_width(video.video_width());
    canvas.set_height(video.video_height());
    let context = dom::canvas_context(&canvas).ok_or_else(failed)?;
    context.draw_image_with_html_video_element(video, 0.0, 0.0).map_err(|_| failed())?;
    let blob = JsFuture::from(Promise::new(&mut |resolve, _| {
        let _ = canvas.to_blob(&resolve);
    }));
    let blob = blob.await.ok().filter(|blob| !blob.is_null()).ok_or_else(failed)?;
    files::file("camera.png", &Array::of1(&blob))
}
