//! The toolbar: built-in models and samples, buttons to open files, camera, URL.

use leptos::{ev, prelude::*};
use web_sys::HtmlInputElement;

use crate::{
    app::{
        browser::files::file_list,
        components::picker::{camera_dialog::CameraDialog, sample_gallery::SampleGallery, url_input::UrlInput},
        domain::{
            action::UserAction,
            assets::CREDITS,
            builtin_model::{BuiltinModel, ImageDomain},
            source::Source,
        },
        runtime::context::AppContext,
    },
    protocol::Slot,
};

#[component]
pub fn Toolbar() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let own = Memo::new(move |_| state.with(|s| s.uploaded_model.zip(s.name_of(Slot::Custom).map(str::to_owned))));
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
        ctx.open_files(file_list(input.files()));
        input.set_value("");
    };
    let world = Memo::new(move |_| state.with(|s| s.permalink.model.domain));
    let worlds = ImageDomain::ALL.map(|each| {
        view! { <option value=each.key() prop:selected=move || world.get() == each>{each.title()}</option> }
    });
    let enter = move |e: ev::Event| {
        let key = event_target_value(&e);
        let Some(world) = ImageDomain::ALL.into_iter().find(|world| world.key() == key) else { return };
        let model = state.with_untracked(|s| s.permalink.model.in_domain(world));
        ctx.dispatch(UserAction::Model(Source::Builtin(model)));
    };
    let photos = move || world.get() == ImageDomain::Photos;
    let next = move |_| ctx.dispatch(UserAction::Sample(state.with_untracked(|s| s.permalink.sample.wrapping_add(1))));
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
                {move || photos().then(|| view! { <SampleGallery/> })}
                <label class="button">
                    <input type="file" id="pick-image" accept="image/*" multiple on:change=bring/>
                    "Open an image"
                </label>
                <CameraDialog/>
                <UrlInput/>
                {move || photos().then(|| view! { <a id="credits" href=CREDITS target="_blank">"Credits"</a> })}
            </div>
        </div>
        <div class="drop" aria-hidden="true"><p>"Drop an image, or a model (.safetensors)"</p></div>
    }
}
