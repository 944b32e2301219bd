//! An image from the camera, which runs only while its dialog is open.

use js_sys::{Array, Object, Promise, Reflect};
use leptos::{
    html::{Dialog, Video},
    prelude::*,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DomException, HtmlCanvasElement, HtmlVideoElement};

use super::{browser, desk::AppContext};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["navigator", "mediaDevices"], js_name = getUserMedia)]
    async fn get_user_media(constraints: &JsValue) -> Result<JsValue, JsValue>;

    #[derive(Clone)]
    type Stream;
    #[wasm_bindgen(method, js_name = getTracks)]
    fn tracks(this: &Stream) -> Array;

    type Track;
    #[wasm_bindgen(method)]
    fn stop(this: &Track);
}

/// Turns the camera on; the one at a phone's back, if there is a choice.
async fn open() -> Result<Stream, String> {
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
            _ if !browser::window().is_secure_context() => "this browser gives it to no page without https",
            _ => "the browser gave no reason",
        };
        format!("The camera cannot be used: {problem}. You can also open or drop an image.")
    })?;
    Ok(stream.unchecked_into())
}

fn close(stream: &Stream) {
    stream.tracks().iter().for_each(|track| track.unchecked_ref::<Track>().stop());
}

/// What the camera shows now, as a PNG file.
async fn take(video: &HtmlVideoElement) -> Result<web_sys::File, String> {
    let failed = || "The camera gave no image. Try again.".to_owned();
    let canvas: HtmlCanvasElement =
        browser::document().create_element("canvas").map_err(|_| failed())?.unchecked_into();
    canvas.set_width(video.video_width());
    canvas.set_height(video.video_height());
    let context = browser::context(&canvas).ok_or_else(failed)?;
    context.draw_image_with_html_video_element(video, 0.0, 0.0).map_err(|_| failed())?;
    let blob = JsFuture::from(Promise::new(&mut |resolve, _| {
        let _ = canvas.to_blob(&resolve);
    }));
    let blob = blob.await.ok().filter(|blob| !blob.is_null()).ok_or_else(failed)?;
    browser::file("camera.png", &Array::of1(&blob))
}

/// The button, and the dialog that it opens.
#[component]
pub fn Camera() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let (dialog, video) = (NodeRef::<Dialog>::new(), NodeRef::<Video>::new());
    let stream = StoredValue::new_local(None::<Stream>);
    let show = move |_| {
        spawn_local(async move {
            let opened = match open().await {
                Ok(opened) => opened,
                Err(text) => return ctx.notify(text),
            };
            let (Some(dialog), Some(video)) = (dialog.get_untracked(), video.get_untracked()) else {
                return close(&opened);
            };
            let _ = Reflect::set(&video, &"srcObject".into(), &opened);
            // A second click before the first was answered.
            stream.try_update_value(|now| now.replace(opened)).flatten().iter().for_each(close);
            if !dialog.open() {
                let _ = dialog.show_modal();
            }
        });
    };
    let end = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let shoot = move |_| {
        if let Some(video) = video.get_untracked() {
            spawn_local(async move {
                match take(&video).await {
                    Ok(file) => ctx.open_files(vec![file]),
                    Err(text) => ctx.notify(text),
                }
                end();
            });
        }
    };
    // However the dialog ends, the Escape key included.
    let off = move |_| stream.try_update_value(Option::take).flatten().iter().for_each(close);
    view! {
        <button id="camera" on:click=show>"Camera"</button>
        <dialog node_ref=dialog class="camera" aria-label="Take an image with the camera" on:close=off>
            <video node_ref=video autoplay playsinline muted aria-label="What the camera sees"></video>
            <div class="actions">
                <button class="main" id="shoot" on:click=shoot>"Take the image"</button>
                <button id="camera-off" on:click=move |_| end()>"Cancel"</button>
            </div>
        </dialog>
    }
}
