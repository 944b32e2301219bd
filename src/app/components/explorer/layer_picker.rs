//! Chooses a layer, and shows the channels that the attack moved most.

use leptos::prelude::*;

use crate::{
    app::{
        components::explorer::channel_maps::channel_maps, domain::action::UserAction, present::explorer::layer_names,
        runtime::context::AppContext, state::State,
    },
    explore::{
        layers::ChannelMaps,
        probe::{Probe, ProbeResult},
    },
    protocol::Slot,
};

/// Chooses a layer, and shows its channels under each model.
#[component]
pub fn LayerPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let names = Memo::new(move |_| ctx.state.with(layer_names));
    let selected = Memo::new(move |_| ctx.state.with(|s| s.permalink.layer.clone()));
    let option = move |name: String| {
        let value = name.clone();
        let is_selected = move || selected.with(|selected| *selected == value);
        view! { <option value=name.clone() prop:selected=is_selected>{name.clone()}</option> }
    };
    let maps = Memo::new(move |_| ctx.state.with(selected_maps));
    view! {
        <div class="choice">
            <label for="layer">"Layer "</label>
            <select id="layer" on:change=move |e| ctx.dispatch(UserAction::SelectLayer(event_target_value(&e)))>
                <option value="" prop:selected=move || selected.with(String::is_empty)>"none"</option>
                {move || names.get().into_iter().map(option).collect_view()}
            </select>
        </div>
        <div class="maps" id="maps">
            {move || maps.get().into_iter().map(|(slot, maps)| channel_maps(slot, maps)).collect_view()}
        </div>
    }
}

/// The channels of the selected layer under each model.
fn selected_maps(state: &State) -> Vec<(Slot, ChannelMaps)> {
    let probe = Probe::ChannelMaps(state.permalink.layer.clone());
    let mut all = Vec::new();
    for results in state.comparable_models() {
        if let Some(ProbeResult::ChannelMaps(maps)) = state.cached_result(results.slot, &probe) {
            all.push((results.slot, maps.clone()));
        }
    }
    all
}
