//! A text box for the URL of an image.

use leptos::{ev, html::Input, prelude::*};

use crate::app::{domain::image_url::ImageUrl, runtime::context::AppContext};

/// A box for the address of an image.
#[component]
pub fn UrlInput() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let text = NodeRef::<Input>::new();
    let fetching = move || ctx.fetching.get() > 0;
    let submit = move |e: ev::SubmitEvent| {
        e.prevent_default();
        let Some(text) = text.get_untracked() else { return };
        match ImageUrl::parse_typed(&text.value()) {
            Some(address) => {
                text.set_value("");
                ctx.fetch_image(vec![address]);
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
