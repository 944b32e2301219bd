//! The buttons of the current run.

use leptos::prelude::*;

use crate::{
    app::{
        domain::action::{TrainingAction, UserAction},
        runtime::context::AppContext,
        state::{State, run::RunPhase},
    },
    protocol::ExportPurpose,
};

/// A button of the current run.
struct RunButton {
    id: fn(&State) -> &'static str,
    title: fn(&State) -> &'static str,
    is_enabled: fn(&State) -> bool,
    action: fn(&State) -> TrainingAction,
}

static CONTROL_BUTTONS: [RunButton; 4] = [
    RunButton {
        id: |_| "train-begin",
        title: |_| "Start a run",
        is_enabled: State::can_prepare_run,
        action: |_| TrainingAction::Start(js_sys::Date::now() as u64),
    },
    RunButton {
        id: |s| if is_running(s) { "train-pause" } else { "train-go" },
        title: |s| if is_running(s) { "Pause" } else { "Resume" },
        is_enabled: is_unfinished,
        action: |s| if is_running(s) { TrainingAction::Pause } else { TrainingAction::Resume },
    },
    RunButton {
        id: |_| "train-step",
        title: |_| "One step",
        is_enabled: |s| is_unfinished(s) && !is_running(s),
        action: |_| TrainingAction::Step,
    },
    RunButton { id: |_| "train-end", title: |_| "Close run", is_enabled: has_run, action: |_| TrainingAction::Close },
];

static EXPORT_BUTTONS: [RunButton; 3] = [
    RunButton {
        id: |_| "train-try",
        title: |_| "Attack this model",
        is_enabled: has_run,
        action: |_| TrainingAction::Export(ExportPurpose::LoadModel),
    },
    RunButton {
        id: |_| "train-save-model",
        title: |_| "Save the model",
        is_enabled: has_run,
        action: |_| TrainingAction::Export(ExportPurpose::SaveModel),
    },
    RunButton {
        id: |_| "train-save-run",
        title: |_| "Save the run",
        is_enabled: has_run,
        action: |_| TrainingAction::Export(ExportPurpose::SaveRun),
    },
];

fn has_run(state: &State) -> bool {
    state.training.run.is_some() && !state.training.is_preparing()
}

fn is_running(state: &State) -> bool {
    state.training.run.as_ref().is_some_and(|run| run.phase == RunPhase::Running)
}

fn is_unfinished(state: &State) -> bool {
    has_run(state) && state.training.run.as_ref().is_some_and(|run| run.phase != RunPhase::Finished)
}

/// Buttons that start, resume, pause, step and close a run.
pub fn control_buttons() -> impl IntoView {
    CONTROL_BUTTONS.iter().map(button).collect_view()
}

/// Buttons that attack or save the model of a run.
pub fn export_buttons() -> impl IntoView {
    EXPORT_BUTTONS.iter().map(button).collect_view()
}

fn button(button: &'static RunButton) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let id = Memo::new(move |_| ctx.state.with(button.id));
    let title = Memo::new(move |_| ctx.state.with(button.title));
    let is_enabled = Memo::new(move |_| ctx.state.with(button.is_enabled));
    let press = move |_| {
        if is_enabled.get_untracked() {
            ctx.dispatch(UserAction::Train(ctx.state.with_untracked(button.action)));
        }
    };
    view! {
        <button class:main=id.get_untracked() == "train-begin" id=move || id.get()
            aria-disabled=move || (!is_enabled.get()).to_string() on:click=press>{move || title.get()}</button>
    }
    .into_any()
}
