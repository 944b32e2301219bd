//! A list of items that are stored in the browser.

use leptos::prelude::*;

use crate::app::{
    browser::dom,
    domain::action::{TrainingAction, UserAction},
    runtime::context::AppContext,
    state::State,
};

/// What was kept, and what can be done about it.
type SavedItems = Vec<(String, [(&'static str, TrainingAction); 2])>;

/// A list of what is kept in this browser; none if there is nothing.
pub fn saved_list(id: &'static str, title: &'static str, of: fn(&State) -> SavedItems) -> AnyView {
    let ctx = expect_context::<AppContext>();
    let list = Memo::new(move |_| ctx.state.with(of));
    let ready = Memo::new(move |_| ctx.state.with(State::can_prepare_run));
    // What is done about one takes it from the list, sooner or later, and the focus with it.
    let pressed = StoredValue::new(false);
    Effect::new(move |_| {
        list.track();
        if pressed.get_value() {
            let refocus = move || {
                if dom::is_focus_lost() {
                    dom::focus_first(&[&format!("#{id} button"), "#train-title"]);
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
