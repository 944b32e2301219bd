//! A button that opens files.

use leptos::prelude::*;
use web_sys::{File, HtmlInputElement};

use crate::app::{browser::files::file_list, runtime::context::AppContext};

/// A button that opens files, or a folder.
pub fn file_button(
    id: &'static str,
    title: &'static str,
    accept: &'static str,
    folder: bool,
    bring: fn(AppContext, Vec<File>),
) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let take = move |e| {
        let input: HtmlInputElement = event_target(&e);
        bring(ctx, file_list(input.files()));
        input.set_value("");
    };
    view! {
        <label class="button">
            <input type="file" id=id accept=accept prop:webkitdirectory=folder on:change=take/>
            {title}
        </label>
    }
    .into_any()
}
