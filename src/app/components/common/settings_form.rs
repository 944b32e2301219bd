//! Form controls, one for each setting of an attack or of training.

use leptos::prelude::*;

use crate::{
    app::{
        present::{settings::SettingsGroup, slider_stops},
        runtime::context::AppContext,
    },
    settings::Setting,
};

/// Controls for settings of a group.
pub fn controls(group: SettingsGroup, settings: Vec<Setting>) -> AnyView {
    settings.into_iter().map(|setting| control(group, setting)).collect_view().into_any()
}

/// The label of a setting with its symbol: `lambda-sw` -> `Lambda sw λ_SW`.
fn title(setting: &Setting) -> String {
    let words = setting.key.replace('-', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} {}", letters.as_str(), setting.symbol).trim_end().to_owned()
}

fn control(group: SettingsGroup, setting: Setting) -> AnyView {
    let state = expect_context::<AppContext>().state;
    let (key, id) = (setting.key, group.id(setting.key));
    let is_used = Memo::new(move |_| state.with(|s| group.is_used(s, key)));
    let value = Memo::new(move |_| state.with(|s| group.get(s, key)));
    let title = title(&setting);
    let help_id = format!("{id}-help");
    let help = {
        let setting = setting.clone();
        Memo::new(move |_| state.with(|s| group.help(s, &setting)))
    };
    let input = if setting.choices.is_empty() {
        number(group, setting, value, is_used)
    } else {
        choice(group, setting, value, is_used)
    };
    // An underscore in the symbol starts a subscript.
    let (text, subscript) = title.split_once('_').unwrap_or((&title, ""));
    let title = view! { {text.to_owned()}<sub>{subscript.to_owned()}</sub> };
    view! {
        <div class="control" class:unused=move || !is_used.get()>
            <label for=id>{title}</label>
            {input}
            <p class="help" id=help_id>{move || help.get()}</p>
        </div>
    }
    .into_any()
}

fn choice(group: SettingsGroup, setting: Setting, value: Memo<String>, is_used: Memo<bool>) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let (key, id) = (setting.key, group.id(setting.key));
    let options = setting.choices.iter().map(|&name| {
        let title = match name {
            "true" => "yes",
            "false" => "no",
            "linf" => "L∞ (linf)",
            "l2" => "L2 (l2)",
            "l1" => "L1 (l1)",
            name => name,
        };
        view! { <option value=name prop:selected=move || value.with(|v| v == name)>{title}</option> }
    });
    view! {
        <select id=id.clone() aria-describedby=format!("{id}-help") disabled=move || !is_used.get()
            on:change=move |e| ctx.dispatch(group.action(key, event_target_value(&e)))>
            {options.collect_view()}
        </select>
    }
    .into_any()
}

fn number(group: SettingsGroup, setting: Setting, value: Memo<String>, is_used: Memo<bool>) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let (key, id) = (setting.key, group.id(setting.key));
    let problem = RwSignal::new(String::new());
    let set = move |text: String| match group.check(key, text.trim()) {
        Ok(()) => {
            problem.set(String::new());
            ctx.dispatch(group.action(key, text.trim().to_owned()));
        }
        Err(error) => {
            let current = value.get_untracked();
            problem.set(format!("“{text}”: {}. The value is still {current}.", error.problem));
        }
    };
    // A change from elsewhere replaces the invalid text in the box.
    Effect::new(move |_| {
        value.track();
        problem.set(String::new());
    });
    let slider = setting.range.is_some().then(|| slider(group, setting, value, is_used, set));
    view! {
        {slider}
        <input
            type="text"
            id=id.clone()
            autocomplete="off"
            spellcheck="false"
            prop:value=move || value.get()
            aria-describedby=format!("{id}-help {id}-problem")
            aria-invalid=move || problem.with(|p| !p.is_empty()).to_string()
            disabled=move || !is_used.get()
            on:change=move |e| set(event_target_value(&e))
        />
        <p class="problem" id=format!("{id}-problem") role="alert">{move || problem.get()}</p>
    }
    .into_any()
}

fn slider(
    group: SettingsGroup,
    setting: Setting,
    value: Memo<String>,
    is_used: Memo<bool>,
    set: impl Fn(String) + 'static,
) -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let (id, name) = (format!("{}-slider", group.id(setting.key)), title(&setting));
    let norm = Memo::new(move |_| ctx.state.with(|s| group.norm(s)));
    let stops = Memo::new(move |_| slider_stops::stops(&setting, norm.get()));
    let select = move |index: String| {
        let Ok(index) = index.parse::<usize>() else { return };
        if let Some(stop) = stops.with_untracked(|s| s.get(index).cloned()) {
            set(stop);
        }
    };
    view! {
        <input
            type="range"
            id=id
            min="0"
            step="1"
            max=move || stops.with(|s| s.len().saturating_sub(1)).to_string()
            prop:value=move || stops.with(|s| slider_stops::nearest(s, &value.get())).to_string()
            aria-label=name
            aria-valuetext=move || value.get()
            disabled=move || !is_used.get()
            on:input=move |e| select(event_target_value(&e))
        />
    }
}
