//! Training in the page: what to learn from and how, on one side; the run and what it shows, on the other.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::{
    controls::fit,
    desk::AppContext,
    link::BuiltinModel,
    material::{Material, kept, pick},
    message::UserAction,
    progress::{Course, Progress},
    race::Race,
    state::State,
    training::RunPhase,
    views::ModelLabel,
    wishes::{SavedRun, TrainingAction},
};
use crate::protocol::{ExportPurpose, InitFrom, Slot};

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

/// Something that can be done about the run.
struct Act {
    id: fn(&State) -> &'static str,
    title: fn(&State) -> &'static str,
    can: fn(&State) -> bool,
    wish: fn(&State) -> TrainingAction,
}

const ACTS: [Act; 7] = [
    Act {
        id: |_| "train-begin",
        title: |_| "Begin a run",
        can: State::can_begin,
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

fn button(ctx: AppContext, act: &'static Act) -> AnyView {
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

/// What a run begins with.
#[component]
fn Begin() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let own = Memo::new(move |_| ctx.state.with(|s| s.name_of(Slot::Custom).map(str::to_owned)));
    let now = Memo::new(move |_| ctx.state.with(|s| s.link.init_from));
    let world = Memo::new(move |_| ctx.state.with(|s| s.link.model.world));
    let options = move || {
        let shipped = BuiltinModel::all(world.get())
            .map(|shipped| (shipped.slot, ModelLabel::from(shipped.slot).the().to_owned()));
        let chosen = now.get() == InitFrom::Model(Slot::Custom);
        let own = own.get().map(|name| format!("yours, {name}")).or_else(|| chosen.then(|| "yours".into()));
        let models = shipped.chain(own.map(|title| (Slot::Custom, title)));
        let option = |(slot, title): (Slot, String)| {
            let selected = move || now.get() == InitFrom::Model(slot);
            view! { <option value=slot.key() prop:selected=selected>{title}</option> }
        };
        models.map(option).collect_view()
    };
    let choose = move |key: String| {
        let slots = [Slot::Robust, Slot::Standard, Slot::Adversarial, Slot::Custom];
        let slot = slots.into_iter().find(|slot| slot.key() == key);
        ctx.dispatch(UserAction::Train(TrainingAction::InitFrom(slot.map_or(InitFrom::Scratch, InitFrom::Model))));
    };
    view! {
        <div class="control">
            <label for="train-origin">"Begin with"</label>
            <select id="train-origin" aria-describedby="train-origin-help" on:change=move |e| choose(event_target_value(&e))>
                <option value="scratch" prop:selected=move || now.get() == InitFrom::Scratch>"fresh weights"</option>
                {options}
            </select>
            <p class="help" id="train-origin-help">"Fresh weights know nothing; a model's weights are trained further."</p>
        </div>
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
