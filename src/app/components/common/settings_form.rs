//! Form controls, one for each setting of an attack or of training.

use leptos::prelude::*;

use crate::{
    app::{
        present::{settings::SettingsGroup, slider_stops},
        runtime::context::AppContext,
    },
    settings::Setting,
};

pub fn controls(group: SettingsGroup, settings: Vec<Setting>) -> AnyView {
    settings.into_iter().map(|setting| control(group, setting)).collect_view().into_any()
}

/// `lambda-sw` -> `Lambda sw λ_SW`: its name with its symbol.
fn title(setting: &Setting) -> String {
    let words = setting.key.replace('-', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} {}", letters.as_str(), setting.symbol).trim_end().to_owned()
}

fn control(group: SettingsGroup, setting: Setting) -> AnyView {
    let state = expect_context::<AppContext>().state;
    let (key, id) = (setting.key, group.id(setting.key));
    let used = Memo::new(move |_| state.with(|s| group.used(s, key)));
    let value = Memo::new(move |_| state.with(|s| group.get(s, key)));
    let (title, help_id, of) = (title(&setting), format!("{id}-help"), setting.clone());
    let help = Memo::new(move |_| state.with(|s| group.help(s, &of)));
    let input = if setting.choices.is_empty() {
        number(group, setting, value, used)
    } else {
        choice(group, setting, value, used)
    };
    let (over, below) = title.split_once('_').unwrap_or((&title, ""));
    let title = view! { {over.to_owned()}<sub>{below.to_owned()}</sub> };
    view! {
        <div class="control" class:unused=move || !used.get()>
            <label for=id>{title}</label>
            {input}
            <p class="help" id=help_id>{move || help.get()}</p>
        </div>
    }
    .into_any()
}

fn choice(group: SettingsGroup, setting: Setting, value: Memo<String>, used: Memo<bool>) -> AnyView {
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
        <select id=id.clone() aria-describedby=format!("{id}-help") disabled=move || !used.get()
            on:change=move |e| ctx.dispatch(group.action(key, event_target_value(&e)))>
            {options.collect_view()}
        </select>
    }
    .into_any()
}

fn number(group: SettingsGroup, setting: Setting, value: Memo<String>, used: Memo<bool>) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let (key, id) = (setting.key, group.id(setting.key));
    let problem = RwSignal::new(String::new());
    let say = move |text: String| match group.check(key, text.trim()) {
        Ok(()) => {
            problem.set(String::new());
            ctx.dispatch(group.action(key, text.trim().to_owned()));
        }
        Err(error) => problem.set(format!("“{}”: {}. It stays {}.", text, error.problem, value.get_untracked())),
    };
    // What others change settles the box's own complaint.
    Effect::new(move |_| {
        value.track();
        problem.set(String::new());
    });
    let slider = setting.range.is_some().then(|| slider(group, setting, value, used, say));
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
            disabled=move || !used.get()
            on:change=move |e| say(event_target_value(&e))
        />
        <p class="problem" id=format!("{id}-problem") role="alert">{move || problem.get()}</p>
    }
    .into_any()
}

fn slider(
    group: SettingsGroup,
    setting: Setting,
    value: Memo<String>,
    used: Memo<bool>,
    say: impl Fn(String) + 'static,
) -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let (id, name) = (format!("{}-slider", group.id(setting.key)), title(&setting));
    let norm = Memo::new(move |_| ctx.state.with(|s| group.norm(s)));
    let stops = Memo::new(move |_| slider_stops::stops(&setting, norm.get()));
    let choose = move |at: String| {
        let stop = at.parse().ok().and_then(|at: usize| stops.with_untracked(|s| s.get(at).cloned()));
        stop.into_iter().for_each(&say);
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
            disabled=move || !used.get()
            on:input=move |e| choose(event_target_value(&e))
        />
    }
}
