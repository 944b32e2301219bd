//! The settings of training.

use leptos::prelude::*;
use web_sys::Element;

use crate::app::{components::common::settings_form::controls, present::settings::SettingsGroup};

/// The controls of training; the less usual ones are built when they are asked for.
pub fn training_settings() -> AnyView {
    let [first, rest] = SettingsGroup::Train.settings();
    let (rest, asked) = (StoredValue::new(rest), RwSignal::new(false));
    let ask = move |e| asked.set(asked.get_untracked() || event_target::<Element>(&e).has_attribute("open"));
    let asked = Memo::new(move |_| asked.get());
    view! {
        {controls(SettingsGroup::Train, first)}
        <details id="fit-more" on:toggle=ask>
            <summary>"More settings of training"</summary>
            {move || asked.get().then(|| controls(SettingsGroup::Train, rest.get_value()))}
        </details>
    }
    .into_any()
}
