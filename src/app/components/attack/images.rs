//! The original, the adversarial and the difference image.

use leptos::prelude::*;
use web_sys::HtmlInputElement;

use crate::{
    app::{
        components::{attack::progress::AttackProgress, common::canvas::painted_canvas},
        domain::{
            action::UserAction,
            format::{in_255ths, percent, with_nbsp},
        },
        present::{export, rewind, rgba},
        runtime::context::AppContext,
        state::{State, attack::STOPS},
    },
    attack::Norm,
    data::{IMAGE_LEN, IMAGE_SIZE},
    prediction::top,
    protocol::{AttackImage, ImageInfo},
};

/// `disc 99 %`, or nothing before it is known.
fn seen(state: &State, probabilities: &[f32]) -> String {
    let class = top(probabilities);
    match state.model.as_ref().and_then(|m| m.classes.get(class)) {
        Some(name) if !probabilities.is_empty() => with_nbsp(&format!("{name} {}", percent(probabilities[class]))),
        _ => String::new(),
    }
}

/// A full step of the map of changes: the radius, or where that bounds no single pixel the largest change.
fn scale(state: &State) -> f32 {
    match (&state.attack.result, state.attack.config.norm) {
        (Some(result), Norm::L2 | Norm::L1) => result.linf,
        _ => state.attack.config.epsilon.0,
    }
}

#[component]
pub fn AttackImages() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    // Of 100 parts of the second image, so many show the original.
    let wipe = RwSignal::new(0.0);
    let wiping = move || wipe.get() > 0.0;

    let clean = Memo::new(move |_| state.with(|s| s.image.as_ref().filter(|p| p.pixels.len() == IMAGE_LEN).cloned()));
    // Until it is attacked, the image itself.
    let bent = Memo::new(move |_| {
        let shown = state.with(|s| s.displayed_image().map(|shown| shown.pixels.to_vec()));
        shown.filter(|p| p.len() == IMAGE_LEN).or_else(|| clean.with(|p| p.as_ref().map(ImageInfo::to_unit_range)))
    });
    let full = Memo::new(move |_| state.with(scale));
    let before = move || clean.with(|p| p.as_ref().map(|p| rgba::from_bytes(&p.pixels)));
    let (original, under) = (painted_canvas(before), painted_canvas(before));
    let attacked = painted_canvas(move || bent.with(|p| p.as_ref().map(|p| rgba::from_floats(p))));
    let change = painted_canvas(move || {
        let (clean, bent) = (clean.get()?, bent.get()?);
        Some(rgba::from_difference(&clean.pixels, &bent, full.get()))
    });

    let before = Memo::new(move |_| state.with(|s| seen(s, &s.clean_probabilities)));
    let after = Memo::new(move |_| {
        state.with(|s| s.displayed_image().map_or(String::new(), |shown| seen(s, shown.probabilities)))
    });
    let of_what = Memo::new(move |_| {
        let Some(p) = state.with(|s| s.image.clone()) else {
            return String::new();
        };
        let mut facts = vec![p.name];
        if p.original != [IMAGE_SIZE as u32; 2] {
            facts.push(format!("{} × {} pixels, shown as the model sees it", p.original[0], p.original[1]));
        }
        facts.extend(p.notes);
        facts.join(", ")
    });
    let size = Memo::new(move |_| {
        state.with(|s| match s.perturbation_norms() {
            Some([linf, l2, l1]) => [in_255ths(linf), format!("{l2:.2}"), format!("{l1:.1}")],
            None => ["–", "–", "–"].map(String::from),
        })
    });
    let stop = Memo::new(move |_| state.with(|s| s.attack.rewound.unwrap_or(STOPS)));
    let over = Memo::new(move |_| state.with(State::can_rewind));
    let moment = Memo::new(move |_| state.with(rewind::step_label));
    let rewind = move |e| {
        let input: HtmlInputElement = event_target(&e);
        if over.get_untracked() {
            ctx.dispatch(UserAction::Rewind(input.value().parse().unwrap_or(STOPS)));
        } else {
            input.set_value(&stop.get_untracked().to_string());
        }
    };
    let cannot_save =
        Memo::new(move |_| state.with(|s| s.busy() || s.attack.result.is_none() || s.attack.rewound.is_some()));
    let save = move |id, part, title| {
        view! {
            <button id=id aria-disabled=move || cannot_save.get().to_string()
                on:click=move |_| ctx.dispatch(UserAction::Save(part))>{title}</button>
        }
    };
    let saved = Memo::new(move |_| state.with(export::saved_message));
    // Only a random start makes another attempt another attack.
    let again = move || {
        let random = state.with(|s| s.permalink.attack.random_start && s.permalink.attack.attack.uses("seed"));
        if random { " from a new random start" } else { "" }
    };
    let side = IMAGE_SIZE.to_string();

    view! {
        <section class="seen-images" aria-label="Images">
        <div class="images">
            <figure>
                <h2>"Original"</h2>
                <div class="frame">
                    <canvas node_ref=original id="original" width=side.clone() height=side.clone() role="img"
                        aria-label=move || format!("Original image. The model sees {}.", before.get())></canvas>
                </div>
                <figcaption>
                    <p class="seen clean" class:blank=move || before.get().is_empty()><span class="sign" aria-hidden="true"></span>{move || before.get()}</p>
                    <p class="fine">{move || of_what.get()}</p>
                </figcaption>
            </figure>
            <figure>
                <h2>"Attacked"</h2>
                <div class="frame" class:wiping=wiping style:--wipe=move || format!("{}%", wipe.get())>
                    <canvas node_ref=attacked id="attacked" width=side.clone() height=side.clone() role="img"
                        aria-label=move || format!("Adversarial image. The model sees {}.", after.get())></canvas>
                    <canvas class="over" node_ref=under width=side.clone() height=side.clone() aria-hidden="true"></canvas>
                </div>
                <figcaption>
                    <p class="seen attacked" class:blank=move || after.get().is_empty()><span class="sign" aria-hidden="true"></span>{move || after.get()}</p>
                    <div class="fine sliders">
                        <label for="rewind" id="moment">{move || if stop.get() == STOPS { "Rewind".into() } else { moment.get() }}</label>
                        <input type="range" id="rewind" min="0" max=STOPS prop:value=move || stop.get() aria-label="Rewind the attack"
                            aria-disabled=move || (!over.get()).to_string()
                            aria-valuetext=move || if stop.get() == STOPS { "the outcome".into() } else { moment.get() }
                            on:input=rewind/>
                        <label for="wipe">"Show the original"</label>
                        <input type="range" id="wipe" min="0" max="100" prop:value=move || wipe.get()
                            aria-valuetext=move || format!("{} %", wipe.get())
                            on:input=move |e| wipe.set(event_target_value(&e).parse().unwrap_or(0.0))/>
                    </div>
                </figcaption>
            </figure>
            <figure>
                <h2>"Change"<span>{move || state.with(amplified)}</span></h2>
                <div class="frame">
                    <canvas node_ref=change width=side.clone() height=side.clone() role="img"
                        aria-label=move || format!("What the attack changed, amplified: at most {} a pixel.", size.get()[0])></canvas>
                </div>
                <figcaption>
                    <div class="map" aria-hidden="true"></div>
                    <p class="ticks">
                        <span>{move || format!("−{} darker", in_255ths(full.get()))}</span>
                        <span>"0"</span>
                        <span>{move || format!("brighter +{}", in_255ths(full.get()))}</span>
                    </p>
                    <dl class="fine">
                        <div><dt>"largest, L"<sub>"∞"</sub></dt><dd>{move || size.with(|s| s[0].clone())}</dd></div>
                        <div><dt>"length, L"<sub>"2"</sub></dt><dd>{move || size.with(|s| s[1].clone())}</dd></div>
                        <div><dt>"sum, L"<sub>"1"</sub></dt><dd>{move || size.with(|s| s[2].clone())}</dd></div>
                    </dl>
                </figcaption>
            </figure>
        </div>
        <AttackProgress/>
        <div class="actions">
            <button class="main" id="again" on:click=move |_| ctx.dispatch(UserAction::Rerun)>"Attack again"<span class="fine">{again}</span></button>
            <button id="stop" aria-disabled=move || (!state.with(State::busy)).to_string()
                on:click=move |_| if state.with_untracked(State::busy) { ctx.dispatch(UserAction::Stop) }>"Stop"</button>
            {save("save", AttackImage::Adversarial, "Save adversarial image")}
            {save("save-change", AttackImage::Perturbation, "Save change")}
        </div>
        <p class="fine" id="saved" role="status">{move || saved.get()}</p>
        </section>
    }
}

fn amplified(state: &State) -> String {
    let scale = scale(state);
    if scale > 0.0 { format!("amplified {:.0} ×", 1.0 / scale) } else { String::new() }
}
