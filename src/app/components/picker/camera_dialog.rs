//! A dialog that takes an image with the camera. The camera is on only while the dialog is open.

use js_sys::Reflect;
use leptos::{
    html::{Dialog, Video},
    prelude::*,
};
use wasm_bindgen_futures::spawn_local;

use crate::app::{
    browser::camera::{self, Stream},
    runtime::context::AppContext,
};

/// The button and the dialog that it opens.
#[component]
pub fn CameraDialog() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let (dialog, video) = (NodeRef::<Dialog>::new(), NodeRef::<Video>::new());
    let stream = StoredValue::new_local(None::<Stream>);
    let replace_stream = move |new: Option<Stream>| {
        let old = stream.try_update_value(|current| std::mem::replace(current, new));
        if let Some(Some(old)) = old {
            camera::close(&old);
        }
    };
    let open = move |_| {
        spawn_local(async move {
            let opened = match camera::open().await {
                Ok(opened) => opened,
                Err(message) => return ctx.notify(message),
            };
            let (Some(dialog), Some(video)) = (dialog.get_untracked(), video.get_untracked()) else {
                return camera::close(&opened);
            };
            let _ = Reflect::set(&video, &"srcObject".into(), &opened);
            // There is an old stream if the user clicked twice before the browser asked for permission.
            replace_stream(Some(opened));
            if !dialog.open() {
                let _ = dialog.show_modal();
            }
        });
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let take_image = move |_| {
        let Some(video) = video.get_untracked() else { return };
        spawn_local(async move {
            match camera::take_image(&video).await {
                Ok(file) => ctx.open_files(vec![file]),
                Err(message) => ctx.notify(message),
            }
            close();
        });
    };
    view! {
        <button id="camera" on:click=open>"Camera"</button>
        // The event is sent however the dialog is closed, also by the Escape key.
        <dialog node_ref=dialog class="camera" aria-label="Take an image with the camera" on:close=move |_| replace_stream(None)>
            <video node_ref=video autoplay playsinline muted aria-label="Camera preview"></video>
            <div class="actions">
                <button class="main" id="shoot" on:click=take_image>"Take the image"</button>
                <button id="camera-off" on:click=move |_| close()>"Cancel"</button>
            </div>
        </dialog>
    }
}
