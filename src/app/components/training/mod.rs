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
        common::{
            file_button::{FileButton, file_button},
            saved_list::{SavedItem, saved_list},
        },
        training::{
            dataset_picker::DatasetPicker,
            run_buttons::{control_buttons, export_buttons},
            run_monitor::{RunCharts, RunProgress},
            run_table::RunTable,
            start_from::StartFrom,
            training_settings::training_settings,
        },
    },
    domain::action::TrainingAction,
    state::State,
};

/// The training section.
#[component]
pub fn TrainingSection() -> impl IntoView {
    let resume = file_button(FileButton {
        id: "train-resume-file",
        title: "Resume a run from a file",
        accept: ".safetensors",
        is_folder: false,
        open: |ctx, files| {
            for file in files {
                ctx.open_run(file);
            }
        },
    });
    view! {
        <section class="train" id="train" aria-labelledby="train-title">
            <h2 id="train-title" tabindex="-1">"Train a model"
                <span>"train a small network in this page, watch its progress, and attack it"</span></h2>
            <div class="workbench">
                <div class="setup">
                    <DatasetPicker/>
                    <StartFrom/>
                    {training_settings()}
                </div>
                <div class="course">
                    <div class="actions">{control_buttons()}</div>
                    <RunProgress/>
                    <div class="actions">{export_buttons()}{resume}</div>
                    {saved_list("train-earlier", "Runs of earlier sessions", saved_runs)}
                    <RunCharts/>
                    <p class="fine">
                        "Training continues whenever nothing else is computed, also while this tab is hidden, but browsers slow \
                         hidden tabs down. Every 20 seconds a copy of the run is stored in this browser, so a crash or a reload \
                         costs at most that much. The five latest runs are stored; save a run to a file to store it longer."
                    </p>
                </div>
            </div>
            <RunTable/>
        </section>
    }
}

/// The runs in the browser's storage, described by their time of creation.
fn saved_runs(state: &State) -> Vec<SavedItem> {
    let mut items = Vec::new();
    for run in &state.training.saved_runs {
        let created = js_sys::Date::new(&(run.number as f64).into()).to_locale_string("en-GB", &JsValue::UNDEFINED);
        items.push(SavedItem {
            description: format!("{}, {}", String::from(created), run.description),
            use_title: "Resume",
            use_action: TrainingAction::ResumeSaved(run.number),
            delete_action: TrainingAction::DeleteSaved(run.number),
        });
    }
    items
}
