//! Feature maps of channels as color maps.

use leptos::prelude::*;

use crate::{
    app::{components::common::canvas::painted_canvas, present::rgba},
    explore::layers::{ChannelMap, ChannelMaps},
    protocol::Slot,
};

/// The channels of a layer that changed most: the clean and the adversarial feature map, and their difference.
pub fn channel_maps(slot: Slot, maps: ChannelMaps) -> impl IntoView {
    let ChannelMaps { shape: [channel_count, height, width], channels, .. } = maps;
    let values = channels.iter().flat_map(|channel| channel.clean.iter().chain(&channel.adversarial));
    let scale = values.fold(0.0f32, |max, value| max.max(value.abs()));
    let channel = |ChannelMap { index, difference, clean, adversarial }: ChannelMap| {
        let change: Vec<f32> = adversarial.iter().zip(&clean).map(|(a, c)| a - c).collect();
        let label = format!("Channel {index}: clean, adversarial and their difference");
        view! {
            <li>
                <ColorMap values=clean size=[width, height] scale label=label.clone()/>
                <ColorMap values=adversarial size=[width, height] scale label=label.clone()/>
                <ColorMap values=change size=[width, height] scale label/>
                <p>{format!("channel {index}, changed by {difference:.2}")}</p>
            </li>
        }
    };
    let title = format!("{}: the {} of {channel_count} channels that changed most", slot.title(), channels.len());
    let detail = format!(" clean, adversarial, difference; scale from −{scale:.2} to +{scale:.2}");
    view! {
        <div data-slot=slot.key()>
            <h3>{title}<span class="fine">{detail}</span></h3>
            <ul>{channels.into_iter().map(channel).collect_view()}</ul>
        </div>
    }
}

/// Values `[height, width]` on the diverging color map. A value of `scale` gets the color at the end of the map.
#[component]
pub fn ColorMap(values: Vec<f32>, size: [usize; 2], scale: f32, label: String) -> impl IntoView {
    let canvas = painted_canvas(move || Some(rgba::from_values(&values, scale)));
    view! {
        <canvas node_ref=canvas width=size[0].to_string() height=size[1].to_string() role="img" aria-label=label></canvas>
    }
}
