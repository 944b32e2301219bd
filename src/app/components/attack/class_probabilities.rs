//! The class probabilities of the original and the adversarial image.

use leptos::prelude::*;

use crate::app::{
    domain::format::percent,
    present::{
        class_probabilities::{Row, rows},
        model::about_model,
    },
    runtime::context::AppContext,
};

fn bar(kind: &'static str, p: Option<f32>, first: bool) -> impl IntoView {
    view! {
        <td role="cell" class=format!("bar {kind}") class:top=first>
            <span class="line" style:--p=p.unwrap_or(0.0).to_string()></span>
            <span class="number">{p.map_or("–".to_owned(), percent)}</span>
            <span class="unseen">{if first { "likeliest" } else { "" }}</span>
        </td>
    }
}

#[component]
pub fn ClassProbabilities() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let table = Memo::new(move |_| state.with(rows));
    let body = move || {
        let row = |r: Row| {
            view! {
                <tr role="row" data-clean=r.clean.to_string() data-attacked=r.attacked.map(|p| p.to_string())>
                    <th role="rowheader" scope="row">{r.name}</th>
                    {bar("clean", Some(r.clean), r.clean_top)}
                    {bar("attacked", r.attacked, r.attacked_top)}
                </tr>
            }
        };
        table.get().0.into_iter().map(row).collect_view()
    };
    let left_out = move || match table.get().1 {
        0 => String::new(),
        n => format!("{n} less likely classes are left out."),
    };
    view! {
        <section class="probabilities" aria-labelledby="probabilities-title">
            <h2 id="probabilities-title">"What the model sees"</h2>
            <p class="fine" id="about-model">{move || state.with(about_model)}</p>
            <table role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col" class="unseen">"Class"</th>
                        <th role="columnheader" scope="col" class="clean"><span class="sign" aria-hidden="true"></span>"Original"</th>
                        <th role="columnheader" scope="col" class="attacked"><span class="sign" aria-hidden="true"></span>"Attacked"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{body}</tbody>
            </table>
            <p class="fine">{left_out}</p>
        </section>
    }
}
