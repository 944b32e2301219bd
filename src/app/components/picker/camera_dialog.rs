//! A dialog that takes an image with the camera. The camera is on only while the dialog is open.

use js_sys::Reflect;
use leptos::{
    html::{Dialog, Video},
    prelude::*,
};
use wasm_bindgen_futures::spawn_local;

use crate::app::{
    browser::camera::{Stream, close, open, take},
    runtime::context::AppContext,
};

/// The button, and the dialog that it opens.
#[component]
pub fn CameraDialog() -> impl IntoView {
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
