//! What to attack: the page's own models and samples, and what the visitor drops, picks or pastes.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, File, HtmlInputElement};

use super::{
    browser,
    link::Shipped,
    message::{Intent, Source},
    page::Desk,
};
use crate::protocol::Slot;

/// Takes files that are dropped or pasted anywhere on the page.
pub fn listen(desk: Desk) {
    let mark = |on: bool| {
        if let Some(body) = browser::document().body() {
            let _ = body.class_list().toggle_with_force("dropping", on);
        }
    };
    let has_files = |e: &DragEvent| e.data_transfer().is_some_and(|d| d.types().includes(&"Files".into(), 0));
    let over = move |e: DragEvent| {
        if has_files(&e) {
            e.prevent_default();
            mark(true);
        }
    };
    window_event_listener(ev::dragenter, over);
    window_event_listener(ev::dragover, over);
    // Leaving the window, not one element for another.
    window_event_listener(ev::dragleave, move |e| {
        if e.related_target().is_none() {
            mark(false);
        }
    });
    window_event_listener(ev::drop, move |e| {
        e.prevent_default();
        mark(false);
        e.data_transfer().into_iter().flat_map(|d| files(&d)).for_each(|file| desk.bring(file));
    });
    window_event_listener(ev::paste, move |e| {
        let e: ClipboardEvent = e.unchecked_into();
        e.clipboard_data().into_iter().flat_map(|d| files(&d)).for_each(|file| desk.bring(file));
    });
}

fn files(data: &DataTransfer) -> Vec<File> {
    let list = data.files();
    list.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default()
}

#[component]
pub fn Toolbar() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let state = desk.state;
    let own = Memo::new(move |_| state.with(|s| s.own_model.zip(s.name_of(Slot::Own).map(str::to_owned))));
    let model = move |source: Source<Shipped>, title: String| {
        let checked = move || state.with(|s| s.model_wanted == Some(source));
        view! {
            <label class="pick">
                <input type="radio" name="model" value=source.slot().key() prop:checked=checked
                    on:change=move |_| desk.tell(Intent::Model(source))/>
                {title}
            </label>
        }
    };
    let bring = move |e: ev::Event| {
        let input: HtmlInputElement = event_target(&e);
        let files = input.files();
        files.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))).for_each(|file| desk.bring(file));
        input.set_value("");
    };
    let next = move |_| desk.tell(Intent::Sample(state.with_untracked(|s| s.link.sample.wrapping_add(1))));
    view! {
        <div class="toolbar">
            <fieldset>
                <legend>"Model"</legend>
                {Shipped::ALL.map(|shipped| model(Source::Ours(shipped), shipped.title().into()))}
                {move || own.get().map(|(n, name)| model(Source::Own(n), name))}
                <label class="button">
                    <input type="file" id="pick-model" accept=".safetensors" on:change=bring/>
                    "Open a model"
                </label>
            </fieldset>
            <fieldset>
                <legend>"Picture"</legend>
                <button id="sample" on:click=next>"Another sample"</button>
                <label class="button">
                    <input type="file" id="pick-picture" accept="image/*" on:change=bring/>
                    "Open a picture"
                </label>
                <p class="fine">"or drop or paste one"</p>
            </fieldset>
        </div>
        <div class="drop" aria-hidden="true"><p>"Drop a picture, or a model (.safetensors)"</p></div>
    }
}
