//! The class probabilities of the original and the adversarial image.

use leptos::prelude::*;

use crate::app::{
    domain::format::percent,
    present::{
        class_probabilities::{Row, class_table},
        model::about_model,
    },
    runtime::context::AppContext,
};

/// The table of class probabilities.
#[component]
pub fn ClassProbabilities() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let table = Memo::new(move |_| state.with(class_table));
    let row = |row: Row| {
        view! {
            <tr role="row" data-clean=row.clean.to_string() data-attacked=row.adversarial.map(|p| p.to_string())>
                <th role="rowheader" scope="row">{row.name}</th>
                {bar("clean", Some(row.clean), row.is_clean_prediction)}
                {bar("attacked", row.adversarial, row.is_adversarial_prediction)}
            </tr>
        }
    };
    let omitted = move || match table.with(|table| table.omitted) {
        0 => String::new(),
        omitted => format!("{omitted} less likely classes are not shown."),
    };
    view! {
        <section class="probabilities" aria-labelledby="probabilities-title">
            <h2 id="probabilities-title">"Predictions"</h2>
            <p class="fine" id="about-model">{move || state.with(about_model)}</p>
            <table role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col" class="unseen">"Class"</th>
                        <th role="columnheader" scope="col" class="clean"><span class="sign" aria-hidden="true"></span>"Original"</th>
                        <th role="columnheader" scope="col" class="attacked"><span class="sign" aria-hidden="true"></span>"Adversarial"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{move || table.get().rows.into_iter().map(row).collect_view()}</tbody>
            </table>
            <p class="fine">{omitted}</p>
        </section>
    }
}

fn bar(kind: &'static str, probability: Option<f32>, is_prediction: bool) -> impl IntoView {
    view! {
        <td role="cell" class=format!("bar {kind}") class:top=is_prediction>
            <span class="line" style:--p=probability.unwrap_or(0.0).to_string()></span>
            <span class="number">{probability.map_or("–".to_owned(), percent)}</span>
            <span class="unseen">{if is_prediction { "predicted" } else { "" }}</span>
        </td>
    }
}
