//! A text box for the URL of an image.

use leptos::{ev, html::Input, prelude::*};

use crate::app::{domain::image_url::ImageUrl, runtime::context::AppContext};

/// A text box for the URL of an image.
#[component]
pub fn UrlInput() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let input = NodeRef::<Input>::new();
    let is_fetching = move || ctx.fetching.get() > 0;
    let submit = move |e: ev::SubmitEvent| {
        e.prevent_default();
        let Some(input) = input.get_untracked() else { return };
        match ImageUrl::parse_typed(&input.value()) {
            Some(url) => {
                input.set_value("");
                ctx.fetch_image(vec![url]);
            }
            None => ctx.notify("Type the URL of an image, such as https://example.org/cat.jpg.".into()),
        }
    };
    view! {
        <form class="address" on:submit=submit aria-busy=move || is_fetching().to_string()>
            <input node_ref=input type="text" id="address" inputmode="url" autocomplete="off" spellcheck="false"
                placeholder="Drop, paste or type a URL" aria-label="URL of an image"/>
            <button id="fetch">{move || if is_fetching() { "Fetching…" } else { "Fetch" }}</button>
        </form>
    }
}
