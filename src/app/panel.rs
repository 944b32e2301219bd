//! The views of representations: one open at a time, a sentence and its charts, and what only that view has.

use leptos::prelude::*;

use super::{
    browser::painted,
    desk::AppContext,
    explore::ExplorerView,
    message::UserAction,
    pixels,
    plot::Plot,
    reading::with_nbsp,
    views::show::{self, ExplorerContent},
};
use crate::{
    data::IMAGE_SIZE,
    explore::{
        layers::{ChannelMap, ChannelMaps},
        probe::{Probe, ProbeResult},
    },
    protocol::Slot,
};

/// Ids of a view's charts.
const CHARTS: [&str; 4] = ["view-chart-1", "view-chart-2", "view-chart-3", "view-chart-4"];

#[component]
pub fn Views() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let open = Memo::new(move |_| ctx.state.with(|s| s.link.view));
    let tab = move |(view, title): (Option<ExplorerView>, &'static str)| {
        view! {
            <label>
                <input type="radio" name="view" value=view.map_or("none", ExplorerView::key)
                    prop:checked=move || open.get() == view on:change=move |_| ctx.dispatch(UserAction::OpenView(view))/>
                {title}
            </label>
        }
    };
    let tabs = ExplorerView::ALL.map(|view| (Some(view), view.title())).into_iter().chain([(None, "None")]);
    view! {
        <section class="views" id="views" aria-labelledby="views-title">
            <h2 id="views-title" tabindex="-1">"Inside the models"<span>"what the attack does to the representation of this image"</span></h2>
            <fieldset class="tabs"><legend>"View"</legend>{tabs.map(tab).collect_view()}</fieldset>
            {move || open.get().map(|view| view! { <Open view/> })}
        </section>
    }
}

#[component]
fn Open(view: ExplorerView) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let shown = Memo::new(move |_| state.with(show::show));
    let busy = Memo::new(move |_| state.with(|s| s.explored.busy() || s.busy()));
    let stale = move || shown.with(|s| s.stale);
    // Read aloud once, when all is known: after that it is the verdict that speaks.
    let said = Memo::new(move |before: Option<&String>| {
        let ready = || !busy.get() && shown.with(|s| !s.stale && !s.charts.is_empty());
        let words = before.filter(|words| !words.is_empty()).cloned();
        words.unwrap_or_else(|| if ready() { shown.with(|s| s.words.clone()) } else { String::new() })
    });
    let plots = CHARTS.into_iter().enumerate().take(show::charts_of(view)).map(|(i, id)| {
        let chart = Memo::new(move |_| shown.with(|s: &ExplorerContent| s.charts.get(i).cloned()));
        view! { <Plot chart id class=show::shape_of(view, i)/> }
    });
    // How many there are to come decides how much room is kept for them.
    let models = Memo::new(move |_| state.with(|s| s.known_models().count()));
    let more = match view {
        ExplorerView::Layers => view! { <Layer/> }.into_any(),
        ExplorerView::Transport => view! { <Projection/> }.into_any(),
        ExplorerView::Jacobian => view! { <Gradients/> }.into_any(),
        ExplorerView::Embedding | ExplorerView::Landscape => ().into_any(),
    };
    view! {
        <div class="view" id=format!("view-{}", view.key()) aria-busy=move || busy.get().to_string()>
            <p id="view-words">{move || shown.with(|s| with_nbsp(&s.words))}</p>
            <p class="unseen" role="status">{move || said.get()}</p>
            <div class="plots" class:stale=stale data-models=move || models.get().to_string()>{plots.collect_view()}</div>
            {more}
        </div>
    }
}

/// Which layer to look into, and its channels that have moved most, under each model.
#[component]
fn Layer() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let layers = Memo::new(move |_| ctx.state.with(show::layer_names));
    let chosen = Memo::new(move |_| ctx.state.with(|s| s.link.layer.clone()));
    let option = move |name: String| {
        let value = name.clone();
        let selected = move || chosen.with(|chosen| *chosen == value);
        view! { <option value=name.clone() prop:selected=selected>{name.clone()}</option> }
    };
    let maps = Memo::new(move |_| {
        ctx.state.with(|s| {
            let probe = Probe::ChannelMaps(s.link.layer.clone());
            let of = |slot| match s.known(slot, &probe).map(|known| &known.answer) {
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

fn channels((slot, ChannelMaps { shape: [all, height, width], channels, .. }): (Slot, ChannelMaps)) -> impl IntoView {
    let highest =
        channels.iter().flat_map(|c| c.clean.iter().chain(&c.adversarial)).fold(0.0f32, |m, v| m.max(v.abs()));
    let channel = |ChannelMap { index, difference, clean, adversarial }: ChannelMap| {
        let moved: Vec<f32> = adversarial.iter().zip(&clean).map(|(a, c)| a - c).collect();
        let words = format!("Channel {index}: clean, attacked and their difference");
        view! {
            <li>
                <Map values=clean size=[width, height] full=highest words=words.clone()/>
                <Map values=adversarial size=[width, height] full=highest words=words.clone()/>
                <Map values=moved size=[width, height] full=highest words/>
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
fn Map(values: Vec<f32>, size: [usize; 2], full: f32, words: String) -> impl IntoView {
    let canvas = painted(move || Some(pixels::of_values(&values, full)));
    view! {
        <canvas node_ref=canvas width=size[0].to_string() height=size[1].to_string() role="img" aria-label=words></canvas>
    }
}

/// Which of the projections is drawn.
#[component]
fn Projection() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let count = Memo::new(move |_| ctx.state.with(show::projections));
    let now = Memo::new(move |_| ctx.state.with(|s| s.link.projection).min(count.get().saturating_sub(1)));
    let words = move || format!("{} of {}", now.get() + 1, count.get());
    view! {
        <div class="choice" hidden=move || count.get() == 0>
            <label for="projection">"Projection "</label>
            <input type="range" id="projection" min="0" step="1" max=move || count.get().saturating_sub(1).to_string()
                prop:value=move || now.get().to_string() aria-valuetext=words
                on:input=move |e| ctx.dispatch(UserAction::Projection(event_target_value(&e).parse().unwrap_or(0)))/>
            <span class="number">{words}</span>
        </div>
    }
}

/// Where in the image each model reacts: along its transport, and along a random direction.
#[component]
fn Gradients() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let all = Memo::new(move |_| {
        state.with(|s| {
            let of = |slot| match s.known(slot, &Probe::Jacobian).map(|known| &known.answer) {
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
            all.get().into_iter().map(|(slot, maps)| (slot, maps.map(|m| pixels::mean_of_channels(&m)))).collect();
        let full = all.iter().flat_map(|(_, maps)| maps.iter().flatten()).fold(0.0f32, |m, v| m.max(v.abs()));
        let model = |(slot, [transport, random]): (Slot, [Vec<f32>; 2])| {
            let map = |values, along: &str| {
                let words = format!("{}: reaction to each pixel {along}", slot.title());
                view! {
                    <figure><Map values size=[IMAGE_SIZE, IMAGE_SIZE] full words/>
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
