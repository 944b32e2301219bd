//! Where in the image the logits of each model react: along the transport, and along a random direction.

use leptos::prelude::*;

use crate::{
    app::{components::explorer::channel_maps::ColorMap, present::rgba, runtime::context::AppContext},
    data::IMAGE_SIZE,
    explore::probe::{Probe, ProbeResult},
    protocol::Slot,
};

/// Where in the image each model reacts: along its transport, and along a random direction.
#[component]
pub fn GradientMaps() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let all = Memo::new(move |_| {
        state.with(|s| {
            let of = |slot| match s.cached_answer(slot, &Probe::Jacobian).map(|known| &known.answer) {
                Some(Ok(ProbeResult::Jacobian(r))) => {
                    Some((slot, [r.transport.maps.first()?.clone(), r.random.maps.first()?.clone()]))
                }
                _ => None,
            };
            s.comparable().filter_map(|(slot, ..)| of(slot)).collect::<Vec<_>>()
        })
    });
    let body = move || {
        let all: Vec<(Slot, [Vec<f32>; 2])> =
            all.get().into_iter().map(|(slot, maps)| (slot, maps.map(|m| rgba::mean_of_channels(&m)))).collect();
        let full = all.iter().flat_map(|(_, maps)| maps.iter().flatten()).fold(0.0f32, |m, v| m.max(v.abs()));
        let model = |(slot, [transport, random]): (Slot, [Vec<f32>; 2])| {
            let map = |values, along: &str| {
                let words = format!("{}: reaction to each pixel {along}", slot.title());
                view! {
                    <figure><ColorMap values size=[IMAGE_SIZE, IMAGE_SIZE] full words/>
                    <figcaption class="fine">{format!("{}, {along}", slot.title())}</figcaption></figure>
                }
            };
            view! { {map(transport, "along transport")} {map(random, "along a random direction")} }
        };
        (!all.is_empty()).then(|| {
            view! {
                <h3>"Where this image's logits react"<span class="fine">{format!(" one scale, −{full:.2} to +{full:.2} logits per unit of pixel")}</span></h3>
                <div class="gradients">{all.into_iter().map(model).collect_view()}</div>
            }
        })
    };
    view! { <div class="maps" id="gradients">{body}</div> }
}
