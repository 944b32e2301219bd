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

/// The toolbar.
#[component]
pub fn Toolbar() -> impl IntoView {
    view! {
        <div class="toolbar">
            <ModelPicker/>
            <ImagePicker/>
        </div>
        <div class="drop" aria-hidden="true"><p>"Drop an image, or a model (.safetensors)"</p></div>
    }
}

/// Opens the files of an input.
fn open_files(ctx: AppContext, e: &ev::Event) {
    let input: HtmlInputElement = event_target(e);
    ctx.open_files(file_list(input.files()));
    // So that the same file can be opened again.
    input.set_value("");
}

#[component]
fn ModelPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let domain = Memo::new(move |_| state.with(|s| s.permalink.model.domain));
    let uploaded =
        Memo::new(move |_| state.with(|s| Some((s.uploaded_model?, s.model_name(Slot::Custom)?.to_owned()))));
    let model = move |source: Source<BuiltinModel>, title: String| {
        let is_selected = move || state.with(|s| s.requested_model == Some(source));
        view! {
            <label class="pick">
                <input type="radio" name="model" value=source.slot().key() prop:checked=is_selected
                    on:change=move |_| ctx.dispatch(UserAction::SelectModel(source))/>
                {title}
            </label>
        }
    };
    let builtin_models = move || {
        let models = BuiltinModel::all(domain.get());
        models.map(|builtin| model(Source::Builtin(builtin), builtin.title().into())).collect_view()
    };
    let domains = ImageDomain::ALL.map(|option| {
        view! { <option value=option.key() prop:selected=move || domain.get() == option>{option.title()}</option> }
    });
    let select_domain = move |e: ev::Event| {
        let key = event_target_value(&e);
        let Some(domain) = ImageDomain::ALL.into_iter().find(|domain| domain.key() == key) else { return };
        let model = state.with_untracked(|s| s.permalink.model.in_domain(domain));
        ctx.dispatch(UserAction::SelectModel(Source::Builtin(model)));
    };
    view! {
        <div class="group" role="group" aria-labelledby="of-model">
            <span id="of-model">"Model"</span>
            {builtin_models}
            <label title="The images that the built-in models classify, and that the samples show">
                "trained on "<select id="world" aria-label="Models trained on" on:change=select_domain>{domains}</select>
            </label>
            {move || uploaded.get().map(|(file, name)| model(Source::Uploaded(file), name))}
            <label class="button">
                <input type="file" id="pick-model" accept=".safetensors" on:change=move |e| open_files(ctx, &e)/>
                "Open a model"
            </label>
        </div>
    }
}

#[component]
fn ImagePicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let has_photos = Memo::new(move |_| state.with(|s| s.permalink.model.domain == ImageDomain::Photos));
    let next_sample = move |_| {
        let next = state.with_untracked(|s| s.permalink.sample.wrapping_add(1));
        ctx.dispatch(UserAction::SelectSample(next));
    };
    view! {
        <div class="group" role="group" aria-labelledby="of-image">
            <span id="of-image">"Image"</span>
            <button id="sample" on:click=next_sample>"Next sample"</button>
            {move || has_photos.get().then(|| view! { <SampleGallery/> })}
            <label class="button">
                <input type="file" id="pick-image" accept="image/*" multiple on:change=move |e| open_files(ctx, &e)/>
                "Open an image"
            </label>
            <CameraDialog/>
            <UrlInput/>
            {move || has_photos.get().then(|| view! { <a id="credits" href=CREDITS target="_blank">"Credits"</a> })}
        </div>
    }
}
