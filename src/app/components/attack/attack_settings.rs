//! The settings of the attack.

use leptos::prelude::*;

use crate::app::{
    components::common::settings_form::controls, domain::action::UserAction, present::settings::SettingsGroup,
    runtime::context::AppContext,
};

#[component]
pub fn AttackSettings() -> impl IntoView {
    let [first, rest] = SettingsGroup::Attack.settings();
    view! {
        <section class="controls" aria-labelledby="controls-title">
            <h2 id="controls-title">"The attack"</h2>
            {controls(SettingsGroup::Attack, first)}
            <TargetPicker/>
            <details>
                <summary>"More"</summary>
                {controls(SettingsGroup::Attack, rest)}
            </details>
        </section>
    }
}

/// Which class the attack shall reach.
#[component]
fn TargetPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let classes =
        Memo::new(move |_| ctx.state.with(|s| s.model.as_ref().map(|m| m.classes.clone()).unwrap_or_default()));
    let options = move || {
        let option = |(class, name): (usize, String)| {
            let selected = move || ctx.state.with(|s| s.permalink.target == Some(class));
            view! { <option value=class.to_string() prop:selected=selected>{name}</option> }
        };
        classes.get().into_iter().enumerate().map(option).collect_view()
    };
    view! {
        <div class="control">
            <label for="target">"Goal"</label>
            <select id="target" aria-describedby="target-help"
                on:change=move |e| ctx.dispatch(UserAction::Target(event_target_value(&e).parse().ok()))>
                <option value="" prop:selected=move || ctx.state.with(|s| s.permalink.target.is_none())>"any other class"</option>
                {options}
            </select>
            <p class="help" id="target-help">"The class that the attack shall make the model see."</p>
        </div>
    }
}
