//! Chooses the training data: the embedded data set, one that the user opens, and labeled images.

use leptos::{ev, html::Input, prelude::*};

use crate::app::{
    components::common::{file_button::file_button, saved_list::saved_list},
    domain::action::{TrainingAction, UserAction},
    present::training_status::{dataset_options, dataset_summary},
    runtime::context::AppContext,
};

#[component]
pub fn DatasetPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let words = Memo::new(move |_| ctx.state.with(dataset_summary));
    let sets = Memo::new(move |_| ctx.state.with(dataset_options));
    let used = Memo::new(move |_| ctx.state.with(|s| s.permalink.train.dataset.to_string()));
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
                {file_button("train-data-file", "CIFAR-10/100 archive or zip of class folders", ".tar.gz,.gz,.zip", false, bring)}
                {file_button("train-data-folder", "Folder of class folders", "", true, bring)}
            </div>
            {saved_list("train-data-kept", "Sets kept in this browser", |s| {
                let one = |(name, n): &(String, usize)| {
                    (name.clone(), [("Use", TrainingAction::UseDataset(*n)), ("Delete", TrainingAction::DeleteDataset(name.clone()))])
                };
                s.training.saved_datasets.iter().map(one).collect()
            })}
            <LabelForm/>
        </details>
    }
}

/// Adds the image in view to what is learned from.
#[component]
fn LabelForm() -> impl IntoView {
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
