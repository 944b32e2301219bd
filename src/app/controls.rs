//! The attack's controls, one for each setting of [`AttackConfig`]: whatever is a setting can be set here.

use leptos::prelude::*;

use super::{link::ESSENTIAL, message::Intent, page::Desk, scale};
use crate::config::{AttackConfig, Setting, Settings};

#[component]
pub fn Controls() -> impl IntoView {
    let (first, rest): (Vec<_>, Vec<_>) =
        AttackConfig::settings().into_iter().partition(|s| ESSENTIAL.contains(&s.key));
    view! {
        <section class="controls" aria-labelledby="controls-title">
            <h2 id="controls-title">"The attack"</h2>
            {first.into_iter().map(control).collect_view()}
            <Target/>
            <details>
                <summary>"More"</summary>
                {rest.into_iter().map(control).collect_view()}
            </details>
        </section>
    }
}

/// `random-start` -> `Random start`, with its symbol.
fn title(setting: &Setting) -> String {
    let words = setting.key.replace('-', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let symbol = if setting.symbol.is_empty() { String::new() } else { format!(" {}", setting.symbol) };
    format!("{first}{}{symbol}", letters.as_str())
}

fn control(setting: Setting) -> impl IntoView {
    let state = expect_context::<Desk>().state;
    let key = setting.key;
    let used = Memo::new(move |_| state.with(|s| s.link.attack.attack.uses(key)));
    let help_id = format!("{key}-help");
    let help = view! {
        <p class="help" id=help_id>
            {move || state.with(|s| match (used.get(), key) {
                (_, "attack") => s.link.attack.attack.about().to_owned(),
                (true, _) => format!("{}.", setting.help),
                (false, _) => format!("{}. Not used by {}.", setting.help, s.link.attack.attack),
            })}
        </p>
    };
    let title = view! { <label for=key>{title(&setting)}</label> };
    let input =
        if setting.choices.is_empty() { number(setting, used).into_any() } else { choice(setting, used).into_any() };
    view! { <div class="control" class:unused=move || !used.get()>{title}{input}{help}</div> }
}

fn choice(setting: Setting, used: Memo<bool>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let key = setting.key;
    let options = setting.choices.iter().map(|&name| {
        let title = match name {
            "true" => "yes",
            "false" => "no",
            "linf" => "L∞ (linf)",
            "l2" => "L2 (l2)",
            "l1" => "L1 (l1)",
            name => name,
        };
        let selected = move || desk.state.with(|s| s.link.attack.get(key).as_deref() == Some(name));
        view! { <option value=name prop:selected=selected>{title}</option> }
    });
    view! {
        <select id=key aria-describedby=format!("{key}-help") disabled=move || !used.get()
            on:change=move |e| desk.tell(Intent::Set(key, event_target_value(&e)))>
            {options.collect_view()}
        </select>
    }
}

fn number(setting: Setting, used: Memo<bool>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let key = setting.key;
    let value = Memo::new(move |_| desk.state.with(|s| s.link.attack.get(key).unwrap_or_default()));
    let problem = RwSignal::new(String::new());
    let say = move |text: String| match AttackConfig::default().set(key, text.trim()) {
        Ok(()) => {
            problem.set(String::new());
            desk.tell(Intent::Set(key, text.trim().to_owned()));
        }
        Err(error) => problem.set(format!("“{}”: {}. It stays {}.", text, error.problem, value.get_untracked())),
    };
    // What others change settles the box's own complaint.
    Effect::new(move |_| {
        value.track();
        problem.set(String::new());
    });
    let slider = setting.range.is_some().then(|| slider(setting, value, used, say));
    view! {
        {slider}
        <input
            type="text"
            id=key
            autocomplete="off"
            spellcheck="false"
            prop:value=move || value.get()
            aria-describedby=format!("{key}-help {key}-problem")
            aria-invalid=move || problem.with(|p| !p.is_empty()).to_string()
            disabled=move || !used.get()
            on:change=move |e| say(event_target_value(&e))
        />
        <p class="problem" id=format!("{key}-problem") role="alert">{move || problem.get()}</p>
    }
}

fn slider(setting: Setting, value: Memo<String>, used: Memo<bool>, say: impl Fn(String) + 'static) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let (id, name) = (format!("{}-slider", setting.key), title(&setting));
    let norm = Memo::new(move |_| desk.state.with(|s| s.link.attack.norm));
    let stops = Memo::new(move |_| scale::stops(&setting, norm.get()));
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
            prop:value=move || stops.with(|s| scale::nearest(s, &value.get())).to_string()
            aria-label=name
            aria-valuetext=move || value.get()
            disabled=move || !used.get()
            on:input=move |e| choose(event_target_value(&e))
        />
    }
}

/// Which class the attack shall reach.
#[component]
fn Target() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let classes =
        Memo::new(move |_| desk.state.with(|s| s.model.as_ref().map(|m| m.classes.clone()).unwrap_or_default()));
    let options = move || {
        let option = |(class, name): (usize, String)| {
            let selected = move || desk.state.with(|s| s.link.target == Some(class));
            view! { <option value=class.to_string() prop:selected=selected>{name}</option> }
        };
        classes.get().into_iter().enumerate().map(option).collect_view()
    };
    view! {
        <div class="control">
            <label for="target">"Goal"</label>
            <select id="target" aria-describedby="target-help"
                on:change=move |e| desk.tell(Intent::Target(event_target_value(&e).parse().ok()))>
                <option value="" prop:selected=move || desk.state.with(|s| s.link.target.is_none())>"any other class"</option>
                {options}
            </select>
            <p class="help" id="target-help">"The class that the model shall be brought to see."</p>
        </div>
    }
}
