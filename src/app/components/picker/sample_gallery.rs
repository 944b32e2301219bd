//! A gallery of the sample photos.

use leptos::prelude::*;

use crate::app::{
    domain::{
        action::UserAction,
        sample_photos::{PHOTOS, Photo},
        source::Source,
    },
    runtime::context::AppContext,
};

/// A button and the gallery that it opens. The browser closes it on Escape and on a click elsewhere.
#[component]
pub fn SampleGallery() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let thumbnail = move |(index, photo): (u64, &'static Photo)| {
        let is_selected = move || ctx.state.with(|s| s.requested_image == Some(Source::Builtin(index)));
        view! {
            <button class="thumbnail" title=photo.shows aria-label=photo.shows style:--row=index.to_string()
                aria-pressed=move || is_selected().to_string() popovertarget="photos" popovertargetaction="hide"
                on:click=move |_| ctx.dispatch(UserAction::SelectSample(index))></button>
        }
    };
    view! {
        <button id="choose" popovertarget="photos">"Choose a photo"</button>
        <div id="photos" class="gallery" popover role="group" aria-label="Photos">
            {(0..).zip(&PHOTOS).map(thumbnail).collect_view()}
        </div>
    }
}
