//! The attack on a batch of images: the robust accuracy after each attack.

use leptos::prelude::*;

use crate::{
    app::{
        components::common::warning::warning,
        domain::action::UserAction,
        present::batch::{batch_announcement, batch_summary},
        runtime::context::AppContext,
        state::{State, batch::BatchAttack, permalink::BATCH_SIZES},
    },
    evaluate::{Accuracy, Record, Report},
};

/// The attack on a batch of images.
#[component]
pub fn BatchAttackPanel() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let size = Memo::new(move |_| ctx.state.with(|s| s.permalink.batch_size));
    let batch = Memo::new(move |_| ctx.state.with(|s| s.batch.clone()));
    let announcement = Memo::new(move |_| batch.with(|b| b.as_ref().map(batch_announcement)));
    let is_running = move || batch.with(|b| b.as_ref().is_some_and(|batch| batch.running));
    let is_ready = move || ctx.state.with(|s| !s.clean_probabilities.is_empty());
    let source = Memo::new(move |_| match ctx.state.with(State::evaluation_dataset) {
        Some(dataset) => format!("of {dataset}"),
        None => "of the model's classes (CIFAR-10 for photos), after you open them under “Train a model”".into(),
    });
    let option = |images: usize| view! { <option value=images prop:selected=move || size.get() == images>{images.to_string()}</option> };
    let set_size = move |e| {
        let images = event_target_value(&e).parse().unwrap_or(BATCH_SIZES[1]);
        ctx.dispatch(UserAction::SetBatchSize(images));
    };
    let start_or_stop = move |_| {
        if is_running() {
            ctx.dispatch(UserAction::Stop);
        } else if is_ready() {
            ctx.dispatch(UserAction::AttackBatch(size.get_untracked()));
        }
    };
    let table = move || batch.with(|b| b.as_ref().and_then(|b| b.report.clone().map(|report| table(b, report))));
    view! {
        <section class="many" id="many" aria-labelledby="many-title">
            <h2 id="many-title">"Batch of images"<span>{move || source.get()}", with the current attack, untargeted"</span></h2>
            <div class="actions">
                <label>"Images "<select id="many-number" on:change=set_size>{BATCH_SIZES.map(option)}</select></label>
                <button id="many-begin" aria-disabled=move || (!is_ready()).to_string() on:click=start_or_stop>
                    {move || if is_running() { "Stop" } else { "Attack the batch" }}
                </button>
            </div>
            <p class="fine" id="many-words">{move || batch.with(|b| b.as_ref().map(batch_summary))}</p>
            <p class="unseen" role="status">{move || announcement.get()}</p>
            {table}
        </section>
    }
}

fn table(batch: &BatchAttack, report: Report) -> impl IntoView + use<> {
    let Accuracy { images, clean, .. } = report.accuracy;
    let percentage = move |correct: usize| 100.0 * correct as f64 / images.max(1) as f64;
    let row = move |name: String, correct: usize, duration: String| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td>{format!("{:.1} %", percentage(correct))}</td>
                <td class="share"><span style:width=format!("{}%", percentage(correct))></span></td>
                <td>{duration}</td>
            </tr>
        }
    };
    let running_attack = if batch.running { report.records.len().checked_sub(1) } else { None };
    let attack = move |(index, record): (usize, Record)| {
        let duration =
            if running_attack == Some(index) { "…".to_owned() } else { format!("{:.1} s", record.seconds) };
        row(record.name, record.after, duration)
    };
    view! {
        <table id="many-table">
            <thead><tr><th scope="col">"After"</th><th scope="col">"Robust accuracy"</th><td></td><th scope="col">"Time"</th></tr></thead>
            <tbody>
                {row("no attack".into(), clean, String::new())}
                {report.records.into_iter().enumerate().map(attack).collect_view()}
            </tbody>
        </table>
        {report.flags.into_iter().map(warning).collect_view()}
    }
}
