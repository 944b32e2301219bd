//! The comparison table of the models: one row a model, one column an image.

use leptos::prelude::*;

use crate::{
    app::{
        components::common::canvas::painted_canvas,
        domain::format::{percent, with_nbsp},
        present::{
            comparison::{Cell, Row, caption, rows},
            rgba,
        },
        runtime::context::AppContext,
    },
    protocol::Slot,
};

/// The comparison table.
#[component]
pub fn ComparisonTable() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let table = Memo::new(move |_| state.with(rows));
    let caption = Memo::new(move |_| table.with(|rows| caption(rows)));
    let slots = Memo::new(move |_| table.with(|rows| rows.iter().map(|row| row.slot).collect::<Vec<_>>()));
    let column = |slot: Slot| {
        let title = format!("Adversarial for: {}", slot.title());
        view! { <th scope="col" class="attacked">{thumbnail(slot)}<span class="sign" aria-hidden="true"></span>{title}</th> }
    };
    let row = |row: Row| {
        view! {
            <tr data-slot=row.slot.key()>
                <th scope="row">{row.slot.title()}" predicts"</th>
                {cell(Some(row.original))}
                {row.adversarial.into_iter().map(cell).collect_view()}
            </tr>
        }
    };
    view! {
        <section class="beside" id="beside" aria-labelledby="beside-title">
            <h2 id="beside-title">"Comparison"<span>"the same attack on each model, and whether it transfers to the others"</span></h2>
            <div class="scroll" tabindex="0" role="group" aria-labelledby="beside-title">
            <table>
                <thead><tr>
                    <th scope="col"><span class="unseen">"Model"</span></th>
                    <th scope="col" class="clean">{original()}<span class="sign" aria-hidden="true"></span>"Original"</th>
                    {move || slots.get().into_iter().map(column).collect_view()}
                </tr></thead>
                <tbody>{move || table.get().into_iter().map(row).collect_view()}</tbody>
            </table>
            </div>
            <p class="fine" id="beside-words">{move || with_nbsp(&caption.get())}</p>
        </section>
    }
}

fn cell(cell: Option<Cell>) -> impl IntoView {
    let Some(Cell { class, probability, fooled }) = cell else {
        return view! { <td>"…"</td> }.into_any();
    };
    let (kind, prefix) = if fooled { ("fooled", "fooled: ") } else { ("withstands", "") };
    view! {
        <td class=kind data-p=probability.to_string()>
            <span class="sign" aria-hidden="true"></span><span class="unseen">{prefix}</span>
            {class}" "<span class="number">{percent(probability)}</span>
        </td>
    }
    .into_any()
}

/// A thumbnail of the adversarial image of a model.
fn thumbnail(slot: Slot) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    small_canvas(Memo::new(move |_| {
        state.with(|s| {
            let results = s.comparable_models().into_iter().find(|results| results.slot == slot)?;
            results.attack.result.as_ref().map(|result| rgba::from_floats(&result.pixels))
        })
    }))
}

/// A thumbnail of the original image.
fn original() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    small_canvas(Memo::new(move |_| state.with(|s| s.image.as_ref().map(|image| rgba::from_bytes(&image.pixels)))))
}

fn small_canvas(rgba: Memo<Option<Vec<u8>>>) -> impl IntoView {
    view! { <canvas node_ref=painted_canvas(move || rgba.get()) width="32" height="32" aria-hidden="true"></canvas> }
}
