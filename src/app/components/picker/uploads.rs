//! The uploaded images, to switch between.

use leptos::prelude::*;

use crate::app::{
    domain::{action::UserAction, file_kind::FileKind, source::Source},
    runtime::context::AppContext,
};

#[component]
pub fn Uploads() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let own =
        Memo::new(move |_| ctx.state.with(|s| s.uploads.iter().map(|o| (o.file, o.name.clone())).collect::<Vec<_>>()));
    let image = move |(file, name): (usize, String)| {
        let in_view = move || ctx.state.with(|s| s.image_wanted == Some(Source::Uploaded(file)));
        let title = name.clone();
        view! {
            <button class="thumbnail" title=title aria-pressed=move || in_view().to_string()
                on:click=move |_| ctx.dispatch(UserAction::OpenFile(file, FileKind::Image))>
                <img src=ctx.object_url(file) alt=name draggable="false"/>
            </button>
        }
    };
    view! {
        <section class="tray" aria-label="Your images" hidden=move || own.with(Vec::is_empty)>
            <h2>"Your images"</h2>
            <For each=move || own.get() key=|own| own.0 children=image/>
        </section>
    }
}
