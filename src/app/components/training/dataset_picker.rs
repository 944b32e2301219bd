//! Chooses the training data: the embedded data set, one that the user opens, and labeled images.

use leptos::{ev, html::Input, prelude::*};

use crate::app::{
    components::common::{
        file_button::{FileButton, file_button},
        saved_list::{SavedItem, saved_list},
    },
    domain::action::{TrainingAction, UserAction},
    present::training_status::{dataset_options, dataset_summary},
    runtime::context::AppContext,
    state::State,
};

/// Chooses the training data.
#[component]
pub fn DatasetPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let summary = Memo::new(move |_| ctx.state.with(dataset_summary));
    let archive = file_button(FileButton {
        id: "train-data-file",
        title: "CIFAR-10/100 archive or zip of class folders",
        accept: ".tar.gz,.gz,.zip",
        is_folder: false,
        open: AppContext::open_dataset,
    });
    let folder = file_button(FileButton {
        id: "train-data-folder",
        title: "Folder of class folders",
        accept: "",
        is_folder: true,
        open: AppContext::open_dataset,
    });
    view! {
        <p id="train-material" role="status">{move || summary.get()}</p>
        <DatasetSelect/>
        <details id="train-data">
            <summary>"Add training images"</summary>
            <p class="help">"CIFAR-10 or CIFAR-100 in the binary version, or images in folders named after their classes. They are \
                read in this page and stay on this machine."</p>
            <div class="actions">{archive}{folder}</div>
            {saved_list("train-data-kept", "Data sets stored in this browser", saved_datasets)}
            <LabelForm/>
        </details>
    }
}

/// Chooses between the data sets; hidden if there is only one.
#[component]
fn DatasetSelect() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let options = Memo::new(move |_| ctx.state.with(dataset_options));
    let selected = Memo::new(move |_| ctx.state.with(|s| s.permalink.train.dataset.to_string()));
    let option = move |(kind, name): (String, String)| {
        let value = kind.clone();
        view! { <option value=value prop:selected=move || selected.get() == kind>{name}</option> }
    };
    let select = move |e| {
        ctx.dispatch(UserAction::Train(TrainingAction::Set("dataset", event_target_value(&e))));
    };
    move || {
        let options = options.get();
        (options.len() > 1).then(|| {
            view! {
                <div class="control">
                    <label for="fit-dataset">"Data set"</label>
                    <select id="fit-dataset" on:change=select>{options.into_iter().map(option).collect_view()}</select>
                </div>
            }
        })
    }
}

fn saved_datasets(state: &State) -> Vec<SavedItem> {
    let item = |(name, file): &(String, usize)| SavedItem {
        description: name.clone(),
        use_title: "Use",
        use_action: TrainingAction::UseDataset(*file),
        delete_action: TrainingAction::DeleteDataset(name.clone()),
    };
    state.training.saved_datasets.iter().map(item).collect()
}

/// Adds the current image to the training data.
#[component]
fn LabelForm() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let input = NodeRef::<Input>::new();
    let classes = Memo::new(move |_| ctx.state.with(|s| s.training.data.classes.clone()));
    let has_image = Memo::new(move |_| ctx.state.with(|s| s.image.is_some()));
    let has_labeled = Memo::new(move |_| ctx.state.with(|s| !s.training.data.labeled.is_empty()));
    let submit = move |e: ev::SubmitEvent| {
        e.prevent_default();
        let Some(input) = input.get_untracked().filter(|_| has_image.get_untracked()) else { return };
        match input.value().trim() {
            "" => ctx.notify("Type the class of the current image, such as cat.".into()),
            class => ctx.dispatch(UserAction::Train(TrainingAction::LabelImage(class.into()))),
        }
    };
    let clear = move |_| {
        if has_labeled.get_untracked() {
            ctx.dispatch(UserAction::Train(TrainingAction::ClearLabels));
        }
    };
    view! {
        <form class="label" on:submit=submit>
            <label for="train-label">"Add the current image to class"</label>
            <input node_ref=input type="text" id="train-label" list="train-classes" autocomplete="off" spellcheck="false"/>
            <datalist id="train-classes">
                {move || classes.get().into_iter().map(|name| view! { <option value=name></option> }).collect_view()}
            </datalist>
            <button id="train-label-add" aria-disabled=move || (!has_image.get()).to_string()>"Add"</button>
            <button type="button" id="train-unlabel" aria-disabled=move || (!has_labeled.get()).to_string()
                on:click=clear>"Remove added images"</button>
        </form>
    }
}
