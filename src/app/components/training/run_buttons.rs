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

/// Something that can be done about the run.
pub struct Act {
    id: fn(&State) -> &'static str,
    title: fn(&State) -> &'static str,
    can: fn(&State) -> bool,
    wish: fn(&State) -> TrainingAction,
}

pub const ACTS: [Act; 7] = [
    Act {
        id: |_| "train-begin",
        title: |_| "Begin a run",
        can: State::can_prepare_run,
        wish: |_| TrainingAction::Start(js_sys::Date::now() as u64),
    },
    Act {
        id: |s| if going(s) { "train-pause" } else { "train-go" },
        title: |s| if going(s) { "Pause" } else { "Go on" },
        can: can_move,
        wish: |s| if going(s) { TrainingAction::Pause } else { TrainingAction::Resume },
    },
    Act {
        id: |_| "train-step",
        title: |_| "One step",
        can: |s| can_move(s) && !going(s),
        wish: |_| TrainingAction::Step,
    },
    Act { id: |_| "train-end", title: |_| "Put away", can: has_run, wish: |_| TrainingAction::Close },
    Act {
        id: |_| "train-try",
        title: |_| "Attack this model",
        can: has_run,
        wish: |_| TrainingAction::Export(ExportPurpose::LoadModel),
    },
    Act {
        id: |_| "train-save-model",
        title: |_| "Save the model",
        can: has_run,
        wish: |_| TrainingAction::Export(ExportPurpose::SaveModel),
    },
    Act {
        id: |_| "train-save-run",
        title: |_| "Save the run",
        can: has_run,
        wish: |_| TrainingAction::Export(ExportPurpose::SaveRun),
    },
];

fn phase(state: &State) -> Option<RunPhase> {
    state.training.run.as_ref().map(|run| run.phase)
}

fn has_run(state: &State) -> bool {
    state.training.run.is_some() && !state.training.is_preparing()
}

fn going(state: &State) -> bool {
    phase(state) == Some(RunPhase::Running)
}

fn can_move(state: &State) -> bool {
    has_run(state) && phase(state) != Some(RunPhase::Finished)
}

pub fn button(ctx: AppContext, act: &'static Act) -> AnyView {
    let now = Memo::new(move |_| ctx.state.with(|s| ((act.id)(s), (act.title)(s), (act.can)(s))));
    let press = move |_| {
        let wish = ctx.state.with_untracked(|s| (act.can)(s).then(|| (act.wish)(s)));
        wish.into_iter().for_each(|wish| ctx.dispatch(UserAction::Train(wish)));
    };
    view! {
        <button class:main=now.get_untracked().0 == "train-begin" id=move || now.get().0
            aria-disabled=move || (!now.get().2).to_string() on:click=press>{move || now.get().1}</button>
    }
    .into_any()
}
