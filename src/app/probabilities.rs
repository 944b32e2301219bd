//! What the model thinks of both images, class by class.

use leptos::prelude::*;

use super::{
    desk::AppContext,
    reading::{about_model, percent, top, top_classes},
    state::State,
};

/// More classes than these are not all listed.
const AT_MOST: usize = 12;

#[derive(Clone, PartialEq)]
struct Row {
    name: String,
    clean: f32,
    attacked: Option<f32>,
    clean_top: bool,
    attacked_top: bool,
}

fn rows(state: &State) -> (Vec<Row>, usize) {
    let Some(model) = &state.model else {
        return Default::default();
    };
    if state.clean.len() != model.classes.len() {
        return Default::default();
    }
    let after = state.shown().map(|shown| shown.probabilities).filter(|p| p.len() == state.clean.len());
    let (best, best_after) = (top(&state.clean), after.map(top));
    let classes = top_classes(&state.clean, after.unwrap_or_default(), AT_MOST);
    let left_out = state.clean.len() - classes.len();
    let row = |class: usize| Row {
        name: model.classes[class].clone(),
        clean: state.clean[class],
        attacked: after.map(|p| p[class]),
        clean_top: class == best,
        attacked_top: Some(class) == best_after,
    };
    (classes.into_iter().map(row).collect(), left_out)
}

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
pub fn Probabilities() -> impl IntoView {
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
