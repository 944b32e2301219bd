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

#[component]
pub fn ComparisonTable() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let table = Memo::new(move |_| state.with(rows));
    let said = Memo::new(move |_| table.with(|rows| caption(rows)));
    let slots = Memo::new(move |_| table.with(|rows| rows.iter().map(|row| row.slot).collect::<Vec<_>>()));
    let head = move || {
        let column = |slot: Slot| {
            let title = format!("Attacked: {}", slot.title());
            view! { <th scope="col" class="attacked">{thumbnail(slot)}<span class="sign" aria-hidden="true"></span>{title}</th> }
        };
        slots.get().into_iter().map(column).collect_view()
    };
    let body = move || {
        let row = |row: Row| {
            view! {
                <tr data-slot=row.slot.key()>
                    <th scope="row">{row.slot.title()}" sees"</th>
                    {cell(Some(row.original))}
                    {row.attacked.into_iter().map(cell).collect_view()}
                </tr>
            }
        };
        table.get().into_iter().map(row).collect_view()
    };
    view! {
        <section class="beside" id="beside" aria-labelledby="beside-title">
            <h2 id="beside-title">"Side by side"<span>"the same attack on each model, and what the others make of its image"</span></h2>
            <div class="scroll" tabindex="0" role="group" aria-labelledby="beside-title">
            <table>
                <thead><tr>
                    <th scope="col"><span class="unseen">"Model"</span></th>
                    <th scope="col" class="clean">{original()}<span class="sign" aria-hidden="true"></span>"Original"</th>
                    {head}
                </tr></thead>
                <tbody>{body}</tbody>
            </table>
            </div>
            <p class="fine" id="beside-words">{move || with_nbsp(&said.get())}</p>
        </section>
    }
}

fn cell(cell: Option<Cell>) -> impl IntoView {
    let Some(Cell { class, p, fooled }) = cell else {
        return view! { <td>"…"</td> }.into_any();
    };
    let (kind, word) = if fooled { ("fooled", "fooled: ") } else { ("withstands", "") };
    view! {
        <td class=kind data-p=p.to_string()>
            <span class="sign" aria-hidden="true"></span><span class="unseen">{word}</span>
            {class}" "<span class="number">{percent(p)}</span>
        </td>
    }
    .into_any()
}

/// The image attacked under one of the models, small.
fn thumbnail(slot: Slot) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let attacked = Memo::new(move |_| {
        state.with(|s| {
            let (.., attack) = s.comparable().find(|(at, ..)| *at == slot)?;
            attack.result.as_ref().map(|result| rgba::from_floats(&result.pixels))
        })
    });
    small(attacked)
}

fn original() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    small(Memo::new(move |_| state.with(|s| s.image.as_ref().map(|p| rgba::from_bytes(&p.pixels)))))
}

fn small(rgba: Memo<Option<Vec<u8>>>) -> impl IntoView {
    view! { <canvas node_ref=painted_canvas(move || rgba.get()) width="32" height="32" aria-hidden="true"></canvas> }
}
