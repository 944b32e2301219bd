//! The table of all training runs, and their evaluation with one attack.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::app::{
    browser::dom::copy_text,
    components::common::chart_figure::ChartFigure,
    domain::action::{TrainingAction, UserAction},
    present::run_table::{COLUMNS, accuracy_chart, evaluation_progress, rows, to_tsv},
    runtime::context::AppContext,
    state::State,
};

/// Number of held-out images that runs are evaluated on.
const EVALUATION_IMAGES: usize = 200;

/// The table; hidden if there is no run.
#[component]
pub fn RunTable() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let has_runs = Memo::new(move |_| state.with(|s| s.training.runs().next().is_some()));
    move || has_runs.get().then(run_table)
}

fn run_table() -> AnyView {
    let state = expect_context::<AppContext>().state;
    let chart = Memo::new(move |_| state.with(|s| accuracy_chart(&s.training)));
    let help =
        format!("The evaluation runs the attack chosen above on {EVALUATION_IMAGES} held-out images of each run.");
    view! {
        <div class="race" id="train-runs">
            <h3 id="train-runs-title">"All runs"</h3>
            <p class="help">{help}</p>
            <Actions/>
            <div class="wide" tabindex="0" role="group" aria-labelledby="train-runs-title">
                <table>
                    <thead><tr>{COLUMNS.map(|name| view! { <th scope="col">{name}</th> })}
                        <th scope="col"><span class="unseen">"Actions"</span></th></tr></thead>
                    <Rows/>
                </table>
            </div>
            <ChartFigure chart id="train-chart-runs"/>
        </div>
    }
    .into_any()
}

#[component]
fn Actions() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let can_evaluate =
        Memo::new(move |_| ctx.state.with(|s| s.backend.current.is_some() && s.training.run_evaluation.is_none()));
    let evaluate = move |_| {
        if can_evaluate.get_untracked() {
            ctx.dispatch(UserAction::Train(TrainingAction::EvaluateAll(EVALUATION_IMAGES)));
        }
    };
    let copy_result = RwSignal::new("");
    let copy = move |_| {
        let table = ctx.state.with_untracked(|s| to_tsv(&s.training));
        spawn_local(async move {
            copy_result.set(if copy_text(&table).await {
                "The table is copied: paste it into a spreadsheet."
            } else {
                "The browser did not allow copying: select the table and copy it."
            });
        });
    };
    let status = Memo::new(move |_| {
        let evaluation = ctx.state.with(|s| evaluation_progress(&s.training));
        if evaluation.is_empty() { copy_result.get().into() } else { evaluation }
    });
    view! {
        <div class="actions">
            <button id="train-judge" aria-disabled=move || (!can_evaluate.get()).to_string() on:click=evaluate>
                "Evaluate all runs with this attack"</button>
            <button id="train-copy" on:click=copy>"Copy the table"</button>
        </div>
        <p class="fine" id="train-race-words" role="status">{move || status.get()}</p>
    }
}

/// A row with the number of its run if the run is archived.
type TableRow = ([String; COLUMNS.len()], Option<u64>);

/// The archived runs, and then the current one. They are separate because the current one changes at each step, and the
/// buttons of the others must stay.
#[component]
fn Rows() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let archived = Memo::new(move |_| state.with(archived_rows));
    let current = Memo::new(move |_| state.with(current_row));
    view! {
        <tbody>{move || archived.get().into_iter().map(row).collect_view()}{move || current.get().map(row)}</tbody>
    }
}

fn archived_rows(state: &State) -> Vec<TableRow> {
    let numbers = state.training.archived.iter().map(|run| Some(run.number));
    rows(&state.training).into_iter().zip(numbers).collect()
}

fn current_row(state: &State) -> Option<TableRow> {
    state.training.run.as_ref()?;
    rows(&state.training).pop().map(|row| (row, None))
}

fn row(([name, cells @ ..], archived): TableRow) -> impl IntoView {
    let buttons = archived.map(|number| archived_run_buttons(&name, number));
    view! { <tr><th scope="row">{name}</th>{cells.map(|cell| view! { <td>{cell}</td> })}<td>{buttons}</td></tr> }
}

fn archived_run_buttons(name: &str, number: u64) -> impl IntoView + use<> {
    let ctx = expect_context::<AppContext>();
    let can_resume = Memo::new(move |_| ctx.state.with(State::can_prepare_run));
    let (resume_label, delete_label) = (format!("Resume: {name}"), format!("Delete: {name}"));
    let resume = move |_| {
        if can_resume.get_untracked() {
            ctx.dispatch(UserAction::Train(TrainingAction::ResumeSaved(number)));
        }
    };
    let delete = move |_| ctx.dispatch(UserAction::Train(TrainingAction::DeleteSaved(number)));
    view! {
        <button aria-label=resume_label aria-disabled=move || (!can_resume.get()).to_string() on:click=resume>"Resume"</button>
        <button aria-label=delete_label on:click=delete>"Delete"</button>
    }
}
