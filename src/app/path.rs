//! The way of the attack: how the margin fell, step by step, and why the outcome may not be trusted.

use leptos::prelude::*;

use super::{page::Desk, reading::path};
use crate::protocol::Trace;

/// Size of the drawing, in its own units.
const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 120.0;

#[component]
pub fn Path() -> impl IntoView {
    let state = expect_context::<Desk>().state;
    let traces = Memo::new(move |_| state.with(|s| s.attack.traces.clone()));
    let flags = Memo::new(move |_| state.with(|s| s.attack.flags.clone()));
    let words = Memo::new(move |_| state.with(path));
    view! {
        <section class="path" id="path" aria-labelledby="path-title" hidden=move || traces.with(Vec::is_empty)>
            <h2 id="path-title">"The way of the attack"<span>"how far it is from its goal, in logits; below the line it has reached it"</span></h2>
            {move || drawing(&traces.get(), &words.get())}
            <p class="fine" id="path-words">{move || words.get()}</p>
            {move || flags.get().into_iter().map(flag).collect_view()}
        </section>
    }
}

fn flag(text: String) -> impl IntoView {
    view! { <p class="flag"><strong>"Do not trust this as it is. "</strong>{text}"."</p> }
}

/// The lowest margin after each step, attack beside attack, over the line at 0.
fn drawing(traces: &[Trace], words: &str) -> impl IntoView + use<> {
    let margins = || traces.iter().flat_map(|t| &t.margins).copied();
    let (low, high) = (margins().fold(0.0f32, f32::min), margins().fold(0.0f32, f32::max));
    let y = |margin: f32| HEIGHT * (high - margin) / (high - low).max(f32::MIN_POSITIVE);
    let each = WIDTH / traces.len().max(1) as f32;
    let part = |(n, trace): (usize, &Trace)| {
        let left = n as f32 * each;
        let last = (trace.margins.len() as f32 - 1.0).max(1.0);
        let points: Vec<String> = (trace.margins.iter().enumerate())
            .map(|(i, &m)| format!("{:.1},{:.1}", left + i as f32 / last * each, y(m)))
            .collect();
        view! {
            <line class="between" x1=left x2=left y1="0" y2=HEIGHT/>
            <polyline class:reached=trace.reached points=points.join(" ")/>
        }
    };
    view! {
        <svg viewBox=format!("-2 -4 {} {}", WIDTH + 4.0, HEIGHT + 8.0) preserveAspectRatio="none" role="img"
            aria-label=words.to_owned()>
            <line class="zero" x1="0" x2=WIDTH y1=y(0.0) y2=y(0.0)/>
            {traces.iter().enumerate().map(part).collect_view()}
        </svg>
    }
}
