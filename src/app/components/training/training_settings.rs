//! The settings of training.

use leptos::prelude::*;
use web_sys::Element;

use crate::app::{
    components::common::settings_form::controls,
    present::settings::{SettingsGroup, ShownSettings},
};

/// The controls of training. The less common ones are created when the user opens them.
pub fn training_settings() -> AnyView {
    let ShownSettings { essential, more } = SettingsGroup::Train.settings();
    let more = StoredValue::new(more);
    let was_opened = RwSignal::new(false);
    let on_toggle = move |e| {
        if event_target::<Element>(&e).has_attribute("open") {
            was_opened.set(true);
        }
    };
    // The memo does not change when the user opens the controls again.
    let was_opened = Memo::new(move |_| was_opened.get());
    view! {
        {controls(SettingsGroup::Train, essential)}
        <details id="fit-more" on:toggle=on_toggle>
            <summary>"More training settings"</summary>
            {move || was_opened.get().then(|| controls(SettingsGroup::Train, more.get_value()))}
        </details>
    }
    .into_any()
}
