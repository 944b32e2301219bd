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
        common::{file_button::pick, saved_list::kept},
        training::{
            dataset_picker::Material,
            run_buttons::{ACTS, button},
            run_monitor::{Course, Progress},
            run_table::Race,
            start_from::Begin,
            training_settings::fit,
        },
    },
    domain::{action::TrainingAction, saved_run::SavedRun},
    runtime::context::AppContext,
    state::State,
};

#[component]
pub fn Trainer() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let resume = pick("train-resume-file", "Go on with a run's file", ".safetensors", false, |ctx, files| {
        files.into_iter().for_each(|file| ctx.open_run(file));
    });
    view! {
        <section class="train" id="train" aria-labelledby="train-title">
            <h2 id="train-title" tabindex="-1">"Train one yourself"
                <span>"a small network learns in this page, from its first step on; watch what becomes of it, and attack it"</span></h2>
            <div class="workbench">
                <div class="setup">
                    <Material/>
                    <Begin/>
                    {fit()}
                </div>
                <div class="course">
                    <div class="actions">{ACTS[..4].iter().map(|act| button(ctx, act)).collect_view()}</div>
                    <Progress/>
                    <div class="actions">{ACTS[4..].iter().map(|act| button(ctx, act)).collect_view()}{resume}</div>
                    {kept("train-earlier", "Runs of earlier visits", earlier)}
                    <Course/>
                    <p class="fine">
                        "Training goes on whenever nothing else is computed, also while this tab is hidden, though browsers \
                         slow hidden tabs down. Every 20 seconds a copy of the run is kept in this browser's own storage: a \
                         crash or a reload costs no more than that. The copies of the five latest runs stay; save what you \
                         want to have for longer."
                    </p>
                </div>
            </div>
            <Race/>
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
    state.training.earlier.iter().map(one).collect()
}
