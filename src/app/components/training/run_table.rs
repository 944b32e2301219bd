//! The table of all training runs, and their evaluation with one attack.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::app::{
    browser::dom::copy_text,
    components::common::chart_figure::ChartFigure,
    domain::action::{TrainingAction, UserAction},
    present::run_table::{self, COLUMNS},
    runtime::context::AppContext,
    state::State,
};

/// Held-out images by which all runs are judged.
const IMAGES: usize = 200;

/// Shown once there is a run.
#[component]
pub fn RunTable() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let any = Memo::new(move |_| state.with(|s| s.training.runs().next().is_some()));
    move || any.get().then(run_table)
}

fn run_table() -> AnyView {
    let ctx = expect_context::<AppContext>();
    // Those that were put away can be taken up again, or deleted. The one under way changes all the time: it is apart, so that
    // their buttons stay.
    let past = Memo::new(move |_| {
        ctx.state.with(|s| {
            let numbers = s.training.archived.iter().map(|run| Some(run.number));
            run_table::rows(&s.training).into_iter().zip(numbers).collect::<Vec<_>>()
        })
    });
    let now = Memo::new(move |_| {
        ctx.state
            .with(|s| run_table::rows(&s.training).pop().filter(|_| s.training.run.is_some()).map(|row| (row, None)))
    });
    let free = Memo::new(move |_| ctx.state.with(State::can_prepare_run));
    let chart = Memo::new(move |_| ctx.state.with(|s| run_table::accuracy_chart(&s.training)));
    let can = |s: &State| s.backend.current.is_some() && s.training.run_evaluation.is_none();
    let ready = Memo::new(move |_| ctx.state.with(can));
    let copied = RwSignal::new("");
    let words = Memo::new(move |_| {
        let evaluation = ctx.state.with(|s| run_table::evaluation_progress(&s.training));
        if evaluation.is_empty() { copied.get().into() } else { evaluation }
    });
    let judge = move |_| {
        if ready.get_untracked() {
            ctx.dispatch(UserAction::Train(TrainingAction::EvaluateAll(IMAGES)));
        }
    };
    let copy = move |_| {
        let text = ctx.state.with_untracked(|s| run_table::to_tsv(&s.training));
        spawn_local(async move {
            copied.set(match copy_text(&text).await {
                true => "The table is copied: paste it into a spreadsheet.",
                false => "The browser did not let the page copy: select the table and copy it by hand.",
            });
        });
    };
    let acts = move |name: &str, number: u64| {
        let [resume, delete] = ["Go on", "Delete"].map(|title| format!("{title}: {name}"));
        let take_up = move |_| {
            if free.get_untracked() {
                ctx.dispatch(UserAction::Train(TrainingAction::ResumeSaved(number)));
            }
        };
        view! {
            <button aria-label=resume aria-disabled=move || (!free.get()).to_string() on:click=take_up>"Go on"</button>
            <button aria-label=delete on:click=move |_| ctx.dispatch(UserAction::Train(TrainingAction::DeleteSaved(number)))>"Delete"</button>
        }
    };
    let row = move |([name, cells @ ..], past): ([String; COLUMNS.len()], Option<u64>)| {
        let acts = past.map(|number| acts(&name, number));
        view! { <tr><th scope="row">{name}</th>{cells.map(|cell| view! { <td>{cell}</td> })}<td>{acts}</td></tr> }
    };
    view! {
        <div class="race" id="train-runs">
            <h3 id="train-runs-title">"Runs side by side"</h3>
            <p class="help">{format!("To judge them, each is put to the attack chosen above, on the same {IMAGES} images.")}</p>
            <div class="actions">
                <button id="train-judge" aria-disabled=move || (!ready.get()).to_string() on:click=judge>
                    "Judge all with the chosen attack"</button>
                <button id="train-copy" on:click=copy>"Copy the table"</button>
            </div>
            <p class="fine" id="train-race-words" role="status">{move || words.get()}</p>
            <div class="wide" tabindex="0" role="group" aria-labelledby="train-runs-title">
                <table>
                    <thead><tr>{COLUMNS.map(|name| view! { <th scope="col">{name}</th> })}
                        <th scope="col"><span class="unseen">"Actions"</span></th></tr></thead>
                    <tbody>{move || past.get().into_iter().map(row).collect_view()}{move || now.get().map(row)}</tbody>
                </table>
            </div>
            <ChartFigure chart id="train-chart-runs"/>
        </div>
    }
    .into_any()
}
