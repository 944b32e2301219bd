//! Chooses the initial weights of a run.

use leptos::prelude::*;

use crate::{
    app::{
        domain::{
            action::{TrainingAction, UserAction},
            builtin_model::BuiltinModel,
        },
        present::model_label::ModelLabel,
        runtime::context::AppContext,
        state::State,
    },
    protocol::{InitFrom, Slot},
};

/// Slots whose models a run can start from.
const SLOTS: [Slot; 4] = [Slot::Robust, Slot::Standard, Slot::Adversarial, Slot::Custom];

/// Chooses the initial weights.
#[component]
pub fn StartFrom() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let selected = Memo::new(move |_| ctx.state.with(|s| s.permalink.init_from));
    let models = Memo::new(move |_| ctx.state.with(models));
    let option = move |(slot, title): (Slot, String)| {
        let is_selected = move || selected.get() == InitFrom::Model(slot);
        view! { <option value=slot.key() prop:selected=is_selected>{title}</option> }
    };
    let select = move |e| {
        let key: String = event_target_value(&e);
        let slot = SLOTS.into_iter().find(|slot| slot.key() == key);
        let init_from = slot.map_or(InitFrom::Scratch, InitFrom::Model);
        ctx.dispatch(UserAction::Train(TrainingAction::InitFrom(init_from)));
    };
    view! {
        <div class="control">
            <label for="train-origin">"Start from"</label>
            <select id="train-origin" aria-describedby="train-origin-help" on:change=select>
                <option value="scratch" prop:selected=move || selected.get() == InitFrom::Scratch>"random weights"</option>
                {move || models.get().into_iter().map(option).collect_view()}
            </select>
            <p class="help" id="train-origin-help">"Training a model from its current weights is called fine-tuning."</p>
        </div>
    }
}

/// The models that a run can start from, with their names.
fn models(state: &State) -> Vec<(Slot, String)> {
    let mut models = Vec::new();
    for model in BuiltinModel::all(state.permalink.model.domain) {
        models.push((model.slot, ModelLabel::from(model.slot).with_article().to_owned()));
    }
    if let Some(name) = state.model_name(Slot::Custom) {
        models.push((Slot::Custom, format!("your model {name}")));
    } else if state.permalink.init_from == InitFrom::Model(Slot::Custom) {
        models.push((Slot::Custom, "your model".to_owned()));
    }
    models
}
