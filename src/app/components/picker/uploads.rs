//! The uploaded images, to switch between.

use leptos::prelude::*;

use crate::app::{
    domain::{action::UserAction, file_kind::FileKind, source::Source},
    runtime::context::AppContext,
};

/// A strip of thumbnails of the uploaded images; hidden if there are none.
#[component]
pub fn Uploads() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let uploads = Memo::new(move |_| {
        ctx.state.with(|s| s.uploads.iter().map(|upload| (upload.file, upload.name.clone())).collect::<Vec<_>>())
    });
    let thumbnail = move |(file, name): (usize, String)| {
        let is_selected = move || ctx.state.with(|s| s.requested_image == Some(Source::Uploaded(file)));
        let title = name.clone();
        view! {
            <button class="thumbnail" title=title aria-pressed=move || is_selected().to_string()
                on:click=move |_| ctx.dispatch(UserAction::OpenFile(file, FileKind::Image))>
                <img src=ctx.object_url(file) alt=name draggable="false"/>
            </button>
        }
    };
    view! {
        <section class="tray" aria-label="Your images" hidden=move || uploads.with(Vec::is_empty)>
            <h2>"Your images"</h2>
            <For each=move || uploads.get() key=|upload| upload.0 children=thumbnail/>
        </section>
    }
}
