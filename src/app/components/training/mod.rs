//! The training section: data set and settings on one side, the run and its charts on the other.

pub mod dataset_picker;
pub mod run_buttons;
pub mod run_monitor;
pub mod run_table;
pub mod start_from;
pub mod training_settings;

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::app::{
    components::{
        common::{file_button::file_button, saved_list::saved_list},
        training::{
            dataset_picker::DatasetPicker,
            run_buttons::{ACTS, button},
            run_monitor::{RunCharts, RunProgress},
            run_table::RunTable,
            start_from::StartFrom,
            training_settings::training_settings,
        },
    },
    domain::{action::TrainingAction, saved_run::SavedRun},
    runtime::context::AppContext,
    state::State,
};

#[component]
pub fn TrainingSection() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let resume = file_button("train-resume-file", "Go on with a run's file", ".safetensors", false, |ctx, files| {
        files.into_iter().for_each(|file| ctx.open_run(file));
    });
    view! {
        <section class="train" id="train" aria-labelledby="train-title">
            <h2 id="train-title" tabindex="-1">"Train one yourself"
                <span>"a small network learns in this page, from its first step on; watch what becomes of it, and attack it"</span></h2>
            <div class="workbench">
                <div class="setup">
                    <DatasetPicker/>
                    <StartFrom/>
                    {training_settings()}
                </div>
                <div class="course">
                    <div class="actions">{ACTS[..4].iter().map(|act| button(ctx, act)).collect_view()}</div>
                    <RunProgress/>
                    <div class="actions">{ACTS[4..].iter().map(|act| button(ctx, act)).collect_view()}{resume}</div>
                    {saved_list("train-earlier", "Runs of earlier visits", earlier)}
                    <RunCharts/>
                    <p class="fine">
                        "Training goes on whenever nothing else is computed, also while this tab is hidden, though browsers \
                         slow hidden tabs down. Every 20 seconds a copy of the run is kept in this browser's own storage: a \
                         crash or a reload costs no more than that. The copies of the five latest runs stay; save what you \
                         want to have for longer."
                    </p>
                </div>
            </div>
            <RunTable/>
        </section>
    }
}

/// The runs that were kept, and what can be done about them.
fn earlier(state: &State) -> Vec<(String, [(&'static str, TrainingAction); 2])> {
    let one = |SavedRun { number, words }: &SavedRun| {
        // Milliseconds since 1970.
        let date = js_sys::Date::new(&(*number as f64).into()).to_locale_string("en-GB", &JsValue::UNDEFINED);
        let acts = [("Go on", TrainingAction::ResumeSaved(*number)), ("Delete", TrainingAction::DeleteSaved(*number))];
        (format!("{}, {words}", String::from(date)), acts)
    };
    state.training.saved_runs.iter().map(one).collect()
}
