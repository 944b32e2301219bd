//! Feature maps of channels as color maps.

use leptos::prelude::*;

use crate::{
    app::{components::common::canvas::painted_canvas, present::rgba},
    explore::layers::{ChannelMap, ChannelMaps},
    protocol::Slot,
};

pub fn channels(
    (slot, ChannelMaps { shape: [all, height, width], channels, .. }): (Slot, ChannelMaps),
) -> impl IntoView {
    let highest =
        channels.iter().flat_map(|c| c.clean.iter().chain(&c.adversarial)).fold(0.0f32, |m, v| m.max(v.abs()));
    let channel = |ChannelMap { index, difference, clean, adversarial }: ChannelMap| {
        let moved: Vec<f32> = adversarial.iter().zip(&clean).map(|(a, c)| a - c).collect();
        let words = format!("Channel {index}: clean, attacked and their difference");
        view! {
            <li>
                <ColorMap values=clean size=[width, height] full=highest words=words.clone()/>
                <ColorMap values=adversarial size=[width, height] full=highest words=words.clone()/>
                <ColorMap values=moved size=[width, height] full=highest words/>
                <p>{format!("channel {index}, moved by {difference:.2}")}</p>
            </li>
        }
    };
    let title = format!("{}: {} of {all} channels, those that moved most", slot.title(), channels.len());
    view! {
        <div data-slot=slot.key()>
            <h3>{title}<span class="fine">" clean, attacked, difference; one scale from −"{format!("{highest:.2}")}" to +"{format!("{highest:.2}")}</span></h3>
            <ul>{channels.into_iter().map(channel).collect_view()}</ul>
        </div>
    }
}

/// Values around zero as colors, `full` being a full step: `[height, width]`.
#[component]
pub fn ColorMap(values: Vec<f32>, size: [usize; 2], full: f32, words: String) -> impl IntoView {
    let canvas = painted_canvas(move || Some(rgba::from_values(&values, full)));
    view! {
        <canvas node_ref=canvas width=size[0].to_string() height=size[1].to_string() role="img" aria-label=words></canvas>
    }
}
