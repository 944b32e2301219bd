//! The visitor's own pictures, to switch between.

use leptos::prelude::*;

use super::{
    desk::Desk,
    message::{Intent, Sort, Source},
};

#[component]
pub fn Tray() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let own =
        Memo::new(move |_| desk.state.with(|s| s.tray.iter().map(|o| (o.file, o.name.clone())).collect::<Vec<_>>()));
    let picture = move |(file, name): (usize, String)| {
        let in_view = move || desk.state.with(|s| s.picture_wanted == Some(Source::Own(file)));
        let title = name.clone();
        view! {
            <button class="thumbnail" title=title aria-pressed=move || in_view().to_string()
                on:click=move |_| desk.tell(Intent::File(file, Sort::Picture))>
                <img src=desk.shown(file) alt=name draggable="false"/>
            </button>
        }
    };
    view! {
        <section class="tray" aria-label="Your pictures" hidden=move || own.with(Vec::is_empty)>
            <h2>"Your pictures"</h2>
            <For each=move || own.get() key=|own| own.0 children=picture/>
        </section>
    }
}
