//! The header: title, tour link, backend.

use leptos::prelude::*;

use crate::app::{
    domain::{action::UserAction, backend::BackendPreference, tour::Step},
    present::backend::backend_line,
    runtime::context::AppContext,
};

/// The header of the page.
#[component]
pub fn Header() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let line = Memo::new(move |_| ctx.state.with(backend_line));
    let option = move |preference: BackendPreference| {
        let title = match preference {
            BackendPreference::Auto => "the fastest backend",
            BackendPreference::Cpu => "the CPU",
            BackendPreference::Gpu => "WebGPU",
        };
        let is_selected = move || ctx.state.with(|s| s.permalink.backend == preference);
        view! { <option value=preference.key() prop:selected=is_selected>{title}</option> }
    };
    let select = move |e| {
        let preference = BackendPreference::parse(&event_target_value(&e)).unwrap_or_default();
        ctx.dispatch(UserAction::SetBackend(preference));
    };
    let reason = move || line.with(|(_, reason)| if reason.is_empty() { String::new() } else { format!(", {reason}") });
    view! {
        <header>
            <h1>"OTJR"<span>"How little it takes to fool an image classifier"</span></h1>
            <a class="tour button" id="tour" href=Step::hash(0)>"Take the tour"</a>
            <div class="backend">
                <p id="backend-line">
                    <strong>{move || line.get().0}</strong>
                    {reason}
                </p>
                <label>
                    "Compute on "
                    <select id="backend" aria-describedby="backend-line" on:change=select>
                        {BackendPreference::ALL.map(option)}
                    </select>
                </label>
            </div>
        </header>
    }
}
