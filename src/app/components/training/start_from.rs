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
    },
    protocol::{InitFrom, Slot},
};

/// What a run begins with.
#[component]
pub fn StartFrom() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let own = Memo::new(move |_| ctx.state.with(|s| s.name_of(Slot::Custom).map(str::to_owned)));
    let now = Memo::new(move |_| ctx.state.with(|s| s.permalink.init_from));
    let world = Memo::new(move |_| ctx.state.with(|s| s.permalink.model.domain));
    let options = move || {
        let shipped = BuiltinModel::all(world.get())
            .map(|shipped| (shipped.slot, ModelLabel::from(shipped.slot).with_article().to_owned()));
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
