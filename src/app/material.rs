//! What a run learns from: the embedded set, one that is brought, the user's own images with their classes.

use leptos::{ev, html::Input, prelude::*};
use web_sys::{File, HtmlInputElement};

use super::{
    browser,
    desk::AppContext,
    intake::files,
    message::UserAction,
    state::State,
    views::progress::{material, sets},
    wishes::TrainingAction,
};

/// What was kept, and what can be done about it.
type Kept = Vec<(String, [(&'static str, TrainingAction); 2])>;

#[component]
pub fn Material() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let words = Memo::new(move |_| ctx.state.with(material));
    let sets = Memo::new(move |_| ctx.state.with(sets));
    let used = Memo::new(move |_| ctx.state.with(|s| s.link.train.dataset.to_string()));
    let option = move |(kind, name): (String, String)| {
        let selected = {
            let kind = kind.clone();
            move || used.get() == kind
        };
        view! { <option value=kind prop:selected=selected>{name}</option> }
    };
    let choice = move || {
        let sets = sets.get();
        (sets.len() > 1).then(|| {
            view! {
                <div class="control">
                    <label for="fit-dataset">"Learn from"</label>
                    <select id="fit-dataset"
                        on:change=move |e| ctx.dispatch(UserAction::Train(TrainingAction::Set("dataset", event_target_value(&e))))>
                        {sets.into_iter().map(option).collect_view()}
                    </select>
                </div>
            }
        })
    };
    let bring = |ctx: AppContext, files| ctx.open_dataset(files);
    view! {
        <p id="train-material" role="status">{move || words.get()}</p>
        {choice}
        <details id="train-data">
            <summary>"Bring images to learn from"</summary>
            <p class="help">"CIFAR-10 or CIFAR-100 as it is published (binary version), or images in folders named after their \
                classes. They are read in this page and stay on this machine."</p>
            <div class="actions">
                {pick("train-data-file", "CIFAR-10/100 archive or zip of class folders", ".tar.gz,.gz,.zip", false, bring)}
                {pick("train-data-folder", "Folder of class folders", "", true, bring)}
            </div>
            {kept("train-data-kept", "Sets kept in this browser", |s| {
                let one = |(name, n): &(String, usize)| {
                    (name.clone(), [("Use", TrainingAction::UseDataset(*n)), ("Delete", TrainingAction::DeleteDataset(name.clone()))])
                };
                s.training.saved_datasets.iter().map(one).collect()
            })}
            <Label/>
        </details>
    }
}

/// Adds the image in view to what is learned from.
#[component]
fn Label() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let text = NodeRef::<Input>::new();
    let classes = Memo::new(move |_| ctx.state.with(|s| s.training.data.classes.clone()));
    let ready = Memo::new(move |_| ctx.state.with(|s| s.image.is_some()));
    let any = Memo::new(move |_| ctx.state.with(|s| !s.training.data.labeled.is_empty()));
    let submit = move |e: ev::SubmitEvent| {
        e.prevent_default();
        let Some(text) = text.get_untracked().filter(|_| ready.get_untracked()) else { return };
        match text.value().trim() {
            "" => ctx.notify("Type the class of the image in view, such as cat.".into()),
            class => ctx.dispatch(UserAction::Train(TrainingAction::LabelImage(class.into()))),
        }
    };
    view! {
        <form class="label" on:submit=submit>
            <label for="train-label">"Learn from the image in view, too, as one of class"</label>
            <input node_ref=text type="text" id="train-label" list="train-classes" autocomplete="off" spellcheck="false"/>
            <datalist id="train-classes">
                {move || classes.get().into_iter().map(|name| view! { <option value=name></option> }).collect_view()}
            </datalist>
            <button id="train-label-add" aria-disabled=move || (!ready.get()).to_string()>"Add it"</button>
            <button type="button" id="train-unlabel" aria-disabled=move || (!any.get()).to_string()
                on:click=move |_| if any.get_untracked() { ctx.dispatch(UserAction::Train(TrainingAction::ClearLabels)) }>"Forget them"</button>
        </form>
    }
}

/// A button that opens files, or a folder.
pub fn pick(
    id: &'static str,
    title: &'static str,
    accept: &'static str,
    folder: bool,
    bring: fn(AppContext, Vec<File>),
) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let take = move |e| {
        let input: HtmlInputElement = event_target(&e);
        bring(ctx, files(input.files()));
        input.set_value("");
    };
    view! {
        <label class="button">
            <input type="file" id=id accept=accept prop:webkitdirectory=folder on:change=take/>
            {title}
        </label>
    }
    .into_any()
}

/// A list of what is kept in this browser; none if there is nothing.
pub fn kept(id: &'static str, title: &'static str, of: fn(&State) -> Kept) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let list = Memo::new(move |_| ctx.state.with(of));
    let ready = Memo::new(move |_| ctx.state.with(State::can_begin));
    // What is done about one takes it from the list, sooner or later, and the focus with it.
    let pressed = StoredValue::new(false);
    Effect::new(move |_| {
        list.track();
        if pressed.get_value() {
            let refocus = move || {
                if browser::is_focus_lost() {
                    browser::focus_first(&[&format!("#{id} button"), "#train-title"]);
                }
            };
            request_animation_frame(refocus);
        }
    });
    let item = move |(words, acts): (String, [(&'static str, TrainingAction); 2])| {
        let button = |(title, wish): (&'static str, TrainingAction)| {
            let label = format!("{title}: {words}");
            let deletes = matches!(wish, TrainingAction::DeleteSaved(_) | TrainingAction::DeleteDataset(_));
            let can = move || deletes || ready.get();
            let press = move |_| {
                if untrack(can) {
                    pressed.set_value(true);
                    ctx.dispatch(UserAction::Train(wish.clone()));
                }
            };
            view! { <button aria-label=label aria-disabled=move || (!can()).to_string() on:click=press>{title}</button> }
        };
        let buttons = acts.map(button);
        view! { <li><span>{words}</span>{buttons}</li> }
    };
    view! {
        <div class="kept" id=id hidden=move || list.with(Vec::is_empty)>
            <h3>{title}</h3>
            <ul>{move || list.get().into_iter().map(item).collect_view()}</ul>
        </div>
    }
    .into_any()
}
