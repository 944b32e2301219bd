//! A list of items that are stored in the browser.

use leptos::prelude::*;

use crate::app::{
    browser::dom,
    domain::action::{TrainingAction, UserAction},
    runtime::context::AppContext,
    state::State,
};

/// A stored item.
#[derive(Clone, PartialEq)]
pub struct SavedItem {
    /// A short description.
    pub description: String,
    /// The label of the button that uses the item.
    pub use_title: &'static str,
    /// Uses the item.
    pub use_action: TrainingAction,
    /// Deletes the item.
    pub delete_action: TrainingAction,
}

/// A list of stored items with buttons to use or delete them; hidden if it is empty.
pub fn saved_list(id: &'static str, title: &'static str, items: fn(&State) -> Vec<SavedItem>) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let list = Memo::new(move |_| ctx.state.with(items));
    let can_use = Memo::new(move |_| ctx.state.with(State::can_prepare_run));
    // Both actions remove the item, possibly later, and then the pressed button loses the focus.
    let was_pressed = StoredValue::new(false);
    Effect::new(move |_| {
        list.track();
        if was_pressed.get_value() {
            request_animation_frame(move || {
                if dom::is_focus_lost() {
                    dom::focus_first(&[&format!("#{id} button"), "#train-title"]);
                }
            });
        }
    });
    let press = move |action: TrainingAction| {
        was_pressed.set_value(true);
        ctx.dispatch(UserAction::Train(action));
    };
    let item = move |item: SavedItem| {
        let SavedItem { description, use_title, use_action, delete_action } = item;
        let (use_label, delete_label) = (format!("{use_title}: {description}"), format!("Delete: {description}"));
        let on_use = move |_| {
            if can_use.get_untracked() {
                press(use_action.clone());
            }
        };
        let on_delete = move |_| press(delete_action.clone());
        view! {
            <li>
                <span>{description}</span>
                <button aria-label=use_label aria-disabled=move || (!can_use.get()).to_string() on:click=on_use>{use_title}</button>
                <button aria-label=delete_label aria-disabled="false" on:click=on_delete>"Delete"</button>
            </li>
        }
    };
    view! {
        <div class="kept" id=id hidden=move || list.with(Vec::is_empty)>
            <h3>{title}</h3>
            <ul>{move || list.get().into_iter().map(item).collect_view()}</ul>
        </div>
    }
    .into_any()
}
