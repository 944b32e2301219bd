//! A button that opens files.

use leptos::prelude::*;
use web_sys::{File, HtmlInputElement};

use crate::app::{browser::files::file_list, runtime::context::AppContext};

/// What a file button opens.
pub struct FileButton {
    /// The id of the input.
    pub id: &'static str,
    /// The label.
    pub title: &'static str,
    /// The attribute `accept`.
    pub accept: &'static str,
    /// Whether it opens a folder.
    pub is_folder: bool,
    /// Takes the opened files.
    pub open: fn(AppContext, Vec<File>),
}

/// A button that opens files or a folder.
pub fn file_button(button: FileButton) -> AnyView {
    let FileButton { id, title, accept, is_folder, open } = button;
    let ctx = expect_context::<AppContext>();
    let on_change = move |e| {
        let input: HtmlInputElement = event_target(&e);
        open(ctx, file_list(input.files()));
        // So that the same file can be opened again.
        input.set_value("");
    };
    view! {
        <label class="button">
            <input type="file" id=id accept=accept prop:webkitdirectory=is_folder on:change=on_change/>
            {title}
        </label>
    }
    .into_any()
}
