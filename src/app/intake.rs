//! What to attack: the page's own models and samples, and what the user drops, picks, pastes, points to or photographs.

use leptos::{ev, html::Input, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, Element, Event, File, FileList, HtmlInputElement};

use super::{
    browser,
    camera::Camera,
    desk::AppContext,
    dropped::{self, Address},
    gallery::Gallery,
    link::{BuiltinModel, ImageDomain},
    message::{Source, UserAction},
};
use crate::protocol::Slot;

/// Who took the photos, and under which licenses they are here.
const CREDITS: &str = "public/photos/CREDITS.md";

/// Takes what is dropped or pasted anywhere on the page: files, and addresses of images.
pub fn listen(ctx: AppContext) {
    let mark = |on: bool| {
        if let Some(body) = browser::document().body() {
            let _ = body.class_list().toggle_with_force("dropping", on);
        }
    };
    let over = move |e: DragEvent| {
        if e.data_transfer().is_some_and(|data| is_for_us(&e, &data)) {
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
        mark(false);
        if let Some(data) = e.data_transfer().filter(|data| is_for_us(&e, data)) {
            e.prevent_default();
            if !take(ctx, &data) {
                ctx.notify(
                    "What was dropped is neither a file nor an image with an address. Save it and drop the file."
                        .into(),
                );
            }
        }
    });
    window_event_listener(ev::paste, move |e| {
        let e: ClipboardEvent = e.unchecked_into();
        if let Some(data) = e.clipboard_data().filter(|data| is_for_us(&e, data)) {
            take(ctx, &data);
        }
    });
}

/// Files always; the rest unless it goes into a text box, which takes text itself.
fn is_for_us(e: &Event, data: &DataTransfer) -> bool {
    let target = e.target().and_then(|target| target.dyn_into::<Element>().ok());
    let in_box = target.is_some_and(|element| element.matches("input[type=text]").unwrap_or(false));
    !in_box || data.types().includes(&"Files".into(), 0)
}

/// Takes the files, or where there are none the image that an address leads to; whether there was anything to take.
fn take(ctx: AppContext, data: &DataTransfer) -> bool {
    let files = files(data.files());
    if !files.is_empty() {
        ctx.open_files(files);
        return true;
    }
    let text = |kind| data.get_data(kind).unwrap_or_default();
    let addresses = dropped::addresses(&text("text/uri-list"), &text("text/html"), &text("text/plain"));
    let any = !addresses.is_empty();
    if any {
        ctx.fetch(addresses);
    }
    any
}

/// The files of a list.
pub fn files(list: Option<FileList>) -> Vec<File> {
    list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))).collect()
}

/// A box for the address of an image.
#[component]
fn AddressBox() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let text = NodeRef::<Input>::new();
    let fetching = move || ctx.fetching.get() > 0;
    let submit = move |e: ev::SubmitEvent| {
        e.prevent_default();
        let Some(text) = text.get_untracked() else { return };
        match Address::typed(&text.value()) {
            Some(address) => {
                text.set_value("");
                ctx.fetch(vec![address]);
            }
            None => ctx.notify("Type the address of an image, such as https://example.org/cat.jpg.".into()),
        }
    };
    view! {
        <form class="address" on:submit=submit aria-busy=move || fetching().to_string()>
            <input node_ref=text type="text" id="address" inputmode="url" autocomplete="off" spellcheck="false"
                placeholder="Drop, paste or type an address" aria-label="Address of an image"/>
            <button id="fetch">{move || if fetching() { "Fetching…" } else { "Fetch" }}</button>
        </form>
    }
}

#[component]
pub fn Toolbar() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let own = Memo::new(move |_| state.with(|s| s.own_model.zip(s.name_of(Slot::Custom).map(str::to_owned))));
    let model = move |source: Source<BuiltinModel>, title: String| {
        let checked = move || state.with(|s| s.model_wanted == Some(source));
        view! {
            <label class="pick">
                <input type="radio" name="model" value=source.slot().key() prop:checked=checked
                    on:change=move |_| ctx.dispatch(UserAction::Model(source))/>
                {title}
            </label>
        }
    };
    let bring = move |e: ev::Event| {
        let input: HtmlInputElement = event_target(&e);
        ctx.open_files(files(input.files()));
        input.set_value("");
    };
    let world = Memo::new(move |_| state.with(|s| s.link.model.world));
    let worlds = ImageDomain::ALL.map(|each| {
        view! { <option value=each.key() prop:selected=move || world.get() == each>{each.title()}</option> }
    });
    let enter = move |e: ev::Event| {
        let key = event_target_value(&e);
        let Some(world) = ImageDomain::ALL.into_iter().find(|world| world.key() == key) else { return };
        let model = state.with_untracked(|s| s.link.model.in_world(world));
        ctx.dispatch(UserAction::Model(Source::Builtin(model)));
    };
    let photos = move || world.get() == ImageDomain::Photos;
    let next = move |_| ctx.dispatch(UserAction::Sample(state.with_untracked(|s| s.link.sample.wrapping_add(1))));
    view! {
        <div class="toolbar">
            <div class="group" role="group" aria-labelledby="of-model">
                <span id="of-model">"Model"</span>
                {move || {
                    let shipped = BuiltinModel::all(world.get());
                    shipped.map(|shipped| model(Source::Builtin(shipped), shipped.title().into())).collect_view()
                }}
                <label title="What the page's own models tell apart, and what its samples show">
                    "trained on "<select id="world" aria-label="Models trained on" on:change=enter>{worlds}</select>
                </label>
                {move || own.get().map(|(n, name)| model(Source::Uploaded(n), name))}
                <label class="button">
                    <input type="file" id="pick-model" accept=".safetensors" on:change=bring/>
                    "Open a model"
                </label>
            </div>
            <div class="group" role="group" aria-labelledby="of-image">
                <span id="of-image">"Image"</span>
                <button id="sample" on:click=next>"Another sample"</button>
                {move || photos().then(|| view! { <Gallery/> })}
                <label class="button">
                    <input type="file" id="pick-image" accept="image/*" multiple on:change=bring/>
                    "Open an image"
                </label>
                <Camera/>
                <AddressBox/>
                {move || photos().then(|| view! { <a id="credits" href=CREDITS target="_blank">"Credits"</a> })}
            </div>
        </div>
        <div class="drop" aria-hidden="true"><p>"Drop an image, or a model (.safetensors)"</p></div>
    }
}
