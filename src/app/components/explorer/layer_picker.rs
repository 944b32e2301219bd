//! Chooses a layer, and shows the channels that the attack moved most.

use leptos::prelude::*;

use crate::{
    app::{
        components::explorer::channel_maps::channels, domain::action::UserAction, present::explorer,
        runtime::context::AppContext,
    },
    explore::probe::{Probe, ProbeResult},
};

/// Which layer to look into, and its channels that have moved most, under each model.
#[component]
pub fn LayerPicker() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let layers = Memo::new(move |_| ctx.state.with(explorer::layer_names));
    let chosen = Memo::new(move |_| ctx.state.with(|s| s.permalink.layer.clone()));
    let option = move |name: String| {
        let value = name.clone();
        let selected = move || chosen.with(|chosen| *chosen == value);
        view! { <option value=name.clone() prop:selected=selected>{name.clone()}</option> }
    };
    let maps = Memo::new(move |_| {
        ctx.state.with(|s| {
            let probe = Probe::ChannelMaps(s.permalink.layer.clone());
            let of = |slot| match s.cached_answer(slot, &probe).map(|known| &known.answer) {
                Some(Ok(ProbeResult::ChannelMaps(maps))) => Some((slot, maps.clone())),
                _ => None,
            };
            s.comparable().filter_map(|(slot, ..)| of(slot)).collect::<Vec<_>>()
        })
    });
    view! {
        <div class="choice">
            <label for="layer">"Look into the layer "</label>
            <select id="layer" on:change=move |e| ctx.dispatch(UserAction::Layer(event_target_value(&e)))>
                <option value="" prop:selected=move || chosen.with(String::is_empty)>"none"</option>
                {move || layers.get().into_iter().map(option).collect_view()}
            </select>
        </div>
        <div class="maps" id="maps">{move || maps.get().into_iter().map(channels).collect_view()}</div>
    }
}
