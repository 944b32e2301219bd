//! Where in the image the logits of each model react: along the transport, and along a random direction.

use leptos::prelude::*;

use crate::{
    app::{components::explorer::channel_maps::ColorMap, present::rgba, runtime::context::AppContext, state::State},
    data::IMAGE_SIZE,
    explore::probe::{Probe, ProbeResult},
    protocol::Slot,
};

/// The gradients `[32, 32]` of a model, averaged over the channels.
#[derive(Clone, PartialEq)]
struct Gradients {
    slot: Slot,
    transport: Vec<f32>,
    random: Vec<f32>,
}

/// The gradients of each model.
#[component]
pub fn GradientMaps() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let gradients = Memo::new(move |_| state.with(gradients));
    view! { <div class="maps" id="gradients">{move || maps(gradients.get())}</div> }
}

fn gradients(state: &State) -> Vec<Gradients> {
    let mut all = Vec::new();
    for results in state.comparable_models() {
        let slot = results.slot;
        if let Some(ProbeResult::Jacobian(responses)) = state.cached_result(slot, &Probe::Jacobian)
            && let (Some(transport), Some(random)) = (responses.transport.maps.first(), responses.random.maps.first())
        {
            let (transport, random) = (rgba::mean_of_channels(transport), rgba::mean_of_channels(random));
            all.push(Gradients { slot, transport, random });
        }
    }
    all
}

fn maps(gradients: Vec<Gradients>) -> Option<AnyView> {
    if gradients.is_empty() {
        return None;
    }
    let values = gradients.iter().flat_map(|model| model.transport.iter().chain(&model.random));
    let scale = values.fold(0.0f32, |max, value| max.max(value.abs()));
    let map = move |slot: Slot, values: Vec<f32>, direction: &str| {
        let label = format!("{}: reaction to each pixel {direction}", slot.title());
        view! {
            <figure><ColorMap values size=[IMAGE_SIZE, IMAGE_SIZE] scale label/>
            <figcaption class="fine">{format!("{}, {direction}", slot.title())}</figcaption></figure>
        }
    };
    let model = |Gradients { slot, transport, random }: Gradients| {
        view! { {map(slot, transport, "along the transport")} {map(slot, random, "along a random direction")} }
    };
    let detail = format!(" scale from −{scale:.2} to +{scale:.2} logits per unit of brightness");
    let view = view! {
        <h3>"Gradients of the logits of this image"<span class="fine">{detail}</span></h3>
        <div class="gradients">{gradients.into_iter().map(model).collect_view()}</div>
    };
    Some(view.into_any())
}
