//! The attack on a batch of images: the robust accuracy after each attack.

use leptos::prelude::*;

use crate::{
    app::{
        components::common::warning::warning,
        domain::action::UserAction,
        present::batch::{batch_announcement, batch_summary},
        runtime::context::AppContext,
        state::{
            batch::{BatchAttack as Run, evaluation_dataset},
            permalink::IMAGES,
        },
    },
    evaluate::{Accuracy, Record, Report},
};

#[component]
pub fn BatchAttackPanel() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let number = Memo::new(move |_| ctx.state.with(|s| s.permalink.images));
    let run = Memo::new(move |_| ctx.state.with(|s| s.batch.clone()));
    let said = Memo::new(move |_| run.with(|r| r.as_ref().map(batch_announcement)));
    let running = move || run.with(|r| r.as_ref().is_some_and(|r| r.running));
    let ready = move || ctx.state.with(|s| !s.clean_probabilities.is_empty());
    let of_what = Memo::new(move |_| match ctx.state.with(evaluation_dataset) {
        Some(set) => format!("of {set}"),
        None => {
            "of the model's own classes (CIFAR-10 for photos), once you have opened them under “Train one yourself”"
                .into()
        }
    });
    let option = |n: usize| view! { <option value=n prop:selected=move || number.get() == n>{n.to_string()}</option> };
    let begin = move |_| {
        if running() {
            ctx.dispatch(UserAction::Stop);
        } else if ready() {
            ctx.dispatch(UserAction::AttackBatch(number.get_untracked()));
        }
    };
    view! {
        <section class="many" id="many" aria-labelledby="many-title">
            <h2 id="many-title">"On many images"<span>{move || of_what.get()}", with the attack chosen above, to any wrong class"</span></h2>
            <div class="actions">
                <label>"Images "<select id="many-number"
                    on:change=move |e| ctx.dispatch(UserAction::SetBatchSize(event_target_value(&e).parse().unwrap_or(50)))>{IMAGES.map(option)}</select></label>
                <button id="many-begin" aria-disabled=move || (!ready()).to_string() on:click=begin>
                    {move || if running() { "Stop" } else { "Attack them all" }}
                </button>
            </div>
            <p class="fine" id="many-words">{move || run.with(|r| r.as_ref().map(batch_summary))}</p>
            <p class="unseen" role="status">{move || said.get()}</p>
            {move || run.with(|r| r.as_ref().and_then(|r| r.report.clone().map(|report| table(r, report))))}
        </section>
    }
}

fn table(run: &Run, report: Report) -> impl IntoView + use<> {
    let Accuracy { images, clean, .. } = report.accuracy;
    let last = report.records.len();
    let share = move |n: usize| 100.0 * n as f64 / images.max(1) as f64;
    let row = move |name: String, n: usize, took: String| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td>{format!("{:.1} %", share(n))}</td>
                <td class="share"><span style:width=format!("{}%", share(n))></span></td>
                <td>{took}</td>
            </tr>
        }
    };
    let busy = run.running;
    let attack = move |(i, r): (usize, Record)| {
        let took = if busy && i + 1 == last { "…".to_owned() } else { format!("{:.1} s", r.seconds) };
        row(r.name, r.after, took)
    };
    view! {
        <table id="many-table">
            <thead><tr><th scope="col">"After"</th><th scope="col">"Still right"</th><td></td><th scope="col">"Time"</th></tr></thead>
            <tbody>
                {row("no attack".into(), clean, String::new())}
                {report.records.into_iter().enumerate().map(attack).collect_view()}
            </tbody>
        </table>
        {report.flags.into_iter().map(warning).collect_view()}
    }
}
