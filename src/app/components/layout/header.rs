//! The header: title, tour link, backend.

use leptos::prelude::*;

use crate::app::{
    domain::{action::UserAction, backend::BackendPreference, tour::Step},
    present::backend,
    runtime::context::AppContext,
};

#[component]
pub fn Header() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let line = Memo::new(move |_| ctx.state.with(backend::backend_line));
    let option = move |wish: BackendPreference| {
        let title = match wish {
            BackendPreference::Auto => "what is fastest",
            BackendPreference::Cpu => "the CPU",
            BackendPreference::Gpu => "WebGPU",
        };
        view! { <option value=wish.key() prop:selected=move || ctx.state.with(|s| s.permalink.backend == wish)>{title}</option> }
    };
    view! {
        <header>
            <h1>"OTJR"<span>"How little it takes to fool an image classifier"</span></h1>
            <a class="tour button" id="tour" href=Step::hash(0)>"Take the tour"</a>
            <div class="backend">
                <p id="backend-line">
                    <strong>{move || line.get().0}</strong>
                    {move || line.with(|(_, why)| if why.is_empty() { String::new() } else { format!(", {why}") })}
                </p>
                <label>
                    "Compute on "
                    <select
                        id="backend"
                        aria-describedby="backend-line"
                        on:change=move |e| ctx.dispatch(UserAction::Backend(BackendPreference::parse(&event_target_value(&e)).unwrap_or_default()))
                    >
                        {BackendPreference::ALL.map(option)}
                    </select>
                </label>
            </div>
        </header>
    }
}
