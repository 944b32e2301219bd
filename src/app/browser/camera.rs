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

    #[derive(Clone)]
    pub type Stream;
    #[wasm_bindgen(method, js_name = getTracks)]
    fn tracks(this: &Stream) -> Array;

    type Track;
    #[wasm_bindgen(method)]
    fn stop(this: &Track);
}

/// Turns the camera on; the one at a phone's back, if there is a choice.
pub async fn open() -> Result<Stream, String> {
    let set = |key: &str, value: &JsValue| {
        let object = Object::new();
        let _ = Reflect::set(&object, &key.into(), value);
        object
    };
    let constraints = set("video", &set("facingMode", &"environment".into()));
    let stream = get_user_media(&constraints).await.map_err(|error| {
        let name = error.dyn_ref::<DomException>().map(DomException::name).unwrap_or_default();
        let problem = match name.as_str() {
            "NotAllowedError" => "it was refused. Allow it for this page beside the address, then try again",
            "NotFoundError" | "OverconstrainedError" => "there is none on this machine",
            "NotReadableError" => "another program uses it. Close that, then try again",
            _ if !dom::window().is_secure_context() => "this browser gives it to no page without https",
            _ => "the browser gave no reason",
        };
        format!("The camera cannot be used: {problem}. You can also open or drop an image.")
    })?;
    Ok(stream.unchecked_into())
}

pub fn close(stream: &Stream) {
    stream.tracks().iter().for_each(|track| track.unchecked_ref::<Track>().stop());
}

/// What the camera shows now, as a PNG file.
pub async fn take(video: &HtmlVideoElement) -> Result<web_sys::File, String> {
    let failed = || "The camera gave no image. Try again.".to_owned();
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
