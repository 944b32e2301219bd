//! The settings of the attack.

use leptos::prelude::*;

use crate::app::{
    components::common::settings_form::controls,
    domain::action::UserAction,
    present::settings::{SettingsGroup, ShownSettings},
    runtime::context::AppContext,
};

/// The settings of the attack.
#[component]
pub fn AttackSettings() -> impl IntoView {
    let ShownSettings { essential, more } = SettingsGroup::Attack.settings();
    view! {
        <section class="controls" aria-labelledby="controls-title">
            <h2 id="controls-title">"The attack"</h2>
            {controls(SettingsGroup::Attack, essential)}
            <TargetPicker/>
            <details>
                <summary>"More"</summary>
                {controls(SettingsGroup::Attack, more)}
            </details>
        </section>
    }
}

/// Chooses the target class.
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
    let is_untargeted = move || ctx.state.with(|s| s.permalink.target.is_none());
    view! {
        <div class="control">
            <label for="target">"Goal"</label>
            <select id="target" aria-describedby="target-help"
                on:change=move |e| ctx.dispatch(UserAction::SetTarget(event_target_value(&e).parse().ok()))>
                <option value="" prop:selected=is_untargeted>"any other class"</option>
                {options}
            </select>
            <p class="help" id="target-help">"The class that the model should predict after the attack."</p>
        </div>
    }
}
