//! The original, the adversarial and the difference image.

use leptos::prelude::*;
use web_sys::HtmlInputElement;

use crate::{
    app::{
        components::{attack::progress::AttackProgress, common::canvas::painted_canvas},
        domain::{
            action::{REWIND_STOPS, UserAction},
            format::{in_255ths, percent, with_nbsp},
        },
        present::{export::saved_message, rewind::step_label, rgba},
        runtime::context::AppContext,
        state::State,
    },
    attack::Norm,
    data::{IMAGE_LEN, IMAGE_SIZE},
    prediction::top,
    protocol::{AttackImage, ImageInfo},
};

/// The original image, if it has the input size of the models.
type Original = Memo<Option<ImageInfo>>;

/// The pixels `[3, 32, 32]` of the displayed adversarial image, in [0,1]; those of the original before the attack.
type Adversarial = Memo<Option<Vec<f32>>>;

/// The three images, the progress of the attack, and buttons.
#[component]
pub fn AttackImages() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let original: Original =
        Memo::new(move |_| state.with(|s| s.image.as_ref().filter(|image| image.pixels.len() == IMAGE_LEN).cloned()));
    let adversarial: Adversarial = Memo::new(move |_| {
        let displayed = state.with(|s| s.displayed_image().map(|image| image.pixels.to_vec()));
        displayed
            .filter(|pixels| pixels.len() == IMAGE_LEN)
            .or_else(|| original.with(|image| image.as_ref().map(ImageInfo::to_unit_range)))
    });
    view! {
        <section class="seen-images" aria-label="Images">
            <div class="images">
                <OriginalFigure original/>
                <AdversarialFigure original adversarial/>
                <PerturbationFigure original adversarial/>
            </div>
            <AttackProgress/>
            <Actions/>
        </section>
    }
}

/// The predicted class with its probability, such as `disc 99 %`; empty before the image is classified.
fn prediction(state: &State, probabilities: &[f32]) -> String {
    if probabilities.is_empty() {
        return String::new();
    }
    let class = top(probabilities);
    match state.model.as_ref().and_then(|model| model.classes.get(class)) {
        Some(name) => with_nbsp(&format!("{name} {}", percent(probabilities[class]))),
        None => String::new(),
    }
}

/// A canvas that shows the original image.
fn original_canvas(original: Original) -> NodeRef<leptos::html::Canvas> {
    painted_canvas(move || original.with(|image| image.as_ref().map(|image| rgba::from_bytes(&image.pixels))))
}

#[component]
fn OriginalFigure(original: Original) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let canvas = original_canvas(original);
    let prediction = Memo::new(move |_| state.with(|s| prediction(s, &s.clean_probabilities)));
    let description = Memo::new(move |_| state.with(|s| s.image.as_ref().map_or(String::new(), description)));
    let side = IMAGE_SIZE.to_string();
    view! {
        <figure>
            <h2>"Original"</h2>
            <div class="frame">
                <canvas node_ref=canvas id="original" width=side.clone() height=side role="img"
                    aria-label=move || format!("Original image. Prediction: {}.", prediction.get())></canvas>
            </div>
            <figcaption>
                <p class="seen clean" class:blank=move || prediction.get().is_empty()><span class="sign" aria-hidden="true"></span>{move || prediction.get()}</p>
                <p class="fine">{move || description.get()}</p>
            </figcaption>
        </figure>
    }
}

/// The name of an image, its size if it was resized, and notes.
fn description(image: &ImageInfo) -> String {
    let mut parts = vec![image.name.clone()];
    let [width, height] = image.original;
    if image.original != [IMAGE_SIZE as u32; 2] {
        parts.push(format!("{width} × {height} pixels, resized for the model"));
    }
    parts.extend(image.notes.iter().cloned());
    parts.join(", ")
}

#[component]
fn AdversarialFigure(original: Original, adversarial: Adversarial) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let canvas =
        painted_canvas(move || adversarial.with(|pixels| pixels.as_ref().map(|pixels| rgba::from_floats(pixels))));
    let overlay = original_canvas(original);
    // How much of the image the original covers, in percent.
    let wipe = RwSignal::new(0.0);
    let is_wiping = move || wipe.get() > 0.0;
    let prediction = Memo::new(move |_| {
        state.with(|s| s.displayed_image().map_or(String::new(), |image| prediction(s, image.probabilities)))
    });
    let side = IMAGE_SIZE.to_string();
    view! {
        <figure>
            <h2>"Adversarial"</h2>
            <div class="frame" class:wiping=is_wiping style:--wipe=move || format!("{}%", wipe.get())>
                <canvas node_ref=canvas id="attacked" width=side.clone() height=side.clone() role="img"
                    aria-label=move || format!("Adversarial image. Prediction: {}.", prediction.get())></canvas>
                <canvas class="over" node_ref=overlay width=side.clone() height=side aria-hidden="true"></canvas>
            </div>
            <figcaption>
                <p class="seen attacked" class:blank=move || prediction.get().is_empty()><span class="sign" aria-hidden="true"></span>{move || prediction.get()}</p>
                <div class="fine sliders">
                    <RewindSlider/>
                    <label for="wipe">"Show the original"</label>
                    <input type="range" id="wipe" min="0" max="100" prop:value=move || wipe.get()
                        aria-valuetext=move || format!("{} %", wipe.get())
                        on:input=move |e| wipe.set(event_target_value(&e).parse().unwrap_or(0.0))/>
                </div>
            </figcaption>
        </figure>
    }
}

/// Steps back through the attack.
#[component]
fn RewindSlider() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let stop = Memo::new(move |_| state.with(|s| s.attack.rewound.unwrap_or(REWIND_STOPS)));
    let can_rewind = Memo::new(move |_| state.with(State::can_rewind));
    let label = Memo::new(move |_| state.with(step_label));
    let rewind = move |e| {
        let input: HtmlInputElement = event_target(&e);
        if can_rewind.get_untracked() {
            ctx.dispatch(UserAction::Rewind(input.value().parse().unwrap_or(REWIND_STOPS)));
        } else {
            input.set_value(&stop.get_untracked().to_string());
        }
    };
    let label_or = move |result: &str| if stop.get() == REWIND_STOPS { result.to_owned() } else { label.get() };
    view! {
        <label for="rewind" id="moment">{move || label_or("Rewind")}</label>
        <input type="range" id="rewind" min="0" max=REWIND_STOPS prop:value=move || stop.get() aria-label="Rewind the attack"
            aria-disabled=move || (!can_rewind.get()).to_string()
            aria-valuetext=move || label_or("the result")
            on:input=rewind/>
    }
}

#[component]
fn PerturbationFigure(original: Original, adversarial: Adversarial) -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let scale = Memo::new(move |_| state.with(color_scale));
    let canvas = painted_canvas(move || {
        let (original, adversarial) = (original.get()?, adversarial.get()?);
        Some(rgba::from_difference(&original.pixels, &adversarial, scale.get()))
    });
    let norms = Memo::new(move |_| {
        state.with(|s| match s.perturbation_norms() {
            Some([linf, l2, l1]) => [in_255ths(linf), format!("{l2:.2}"), format!("{l1:.1}")],
            None => ["–", "–", "–"].map(String::from),
        })
    });
    let norm = move |index: usize| move || norms.with(|norms| norms[index].clone());
    let amplification = move || match scale.get() {
        scale if scale > 0.0 => format!("amplified {:.0} ×", 1.0 / scale),
        _ => String::new(),
    };
    let side = IMAGE_SIZE.to_string();
    view! {
        <figure>
            <h2>"Perturbation"<span>{amplification}</span></h2>
            <div class="frame">
                <canvas node_ref=canvas width=side.clone() height=side role="img"
                    aria-label=move || format!("Perturbation, amplified: at most {} per pixel.", norm(0)())></canvas>
            </div>
            <figcaption>
                <div class="map" aria-hidden="true"></div>
                <p class="ticks">
                    <span>{move || format!("−{} darker", in_255ths(scale.get()))}</span>
                    <span>"0"</span>
                    <span>{move || format!("brighter +{}", in_255ths(scale.get()))}</span>
                </p>
                <dl class="fine">
                    <div><dt>"L"<sub>"∞"</sub>" norm"</dt><dd>{norm(0)}</dd></div>
                    <div><dt>"L"<sub>"2"</sub>" norm"</dt><dd>{norm(1)}</dd></div>
                    <div><dt>"L"<sub>"1"</sub>" norm"</dt><dd>{norm(2)}</dd></div>
                </dl>
            </figcaption>
        </figure>
    }
}

/// The difference at the end of the color map: the radius, or the largest difference if the radius does not bound single pixels.
fn color_scale(state: &State) -> f32 {
    match (&state.attack.result, state.attack.config.norm) {
        (Some(result), Norm::L2 | Norm::L1) => result.linf,
        _ => state.attack.config.epsilon.0,
    }
}

#[component]
fn Actions() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let cannot_save =
        Memo::new(move |_| state.with(|s| s.is_attacking() || s.attack.result.is_none() || s.attack.rewound.is_some()));
    let save = move |id, image, title| {
        view! {
            <button id=id aria-disabled=move || cannot_save.get().to_string()
                on:click=move |_| ctx.dispatch(UserAction::ExportImage(image))>{title}</button>
        }
    };
    let saved = Memo::new(move |_| state.with(saved_message));
    // Without a random start, the attack is repeated exactly.
    let rerun_detail = move || {
        let is_random = state.with(|s| s.permalink.attack.random_start && s.permalink.attack.attack.uses("seed"));
        if is_random { " from a new random start" } else { "" }
    };
    let stop = move |_| {
        if state.with_untracked(State::is_attacking) {
            ctx.dispatch(UserAction::Stop);
        }
    };
    view! {
        <div class="actions">
            <button class="main" id="again" on:click=move |_| ctx.dispatch(UserAction::Rerun)>"Attack again"<span class="fine">{rerun_detail}</span></button>
            <button id="stop" aria-disabled=move || (!state.with(State::is_attacking)).to_string() on:click=stop>"Stop"</button>
            {save("save", AttackImage::Adversarial, "Save adversarial image")}
            {save("save-change", AttackImage::Perturbation, "Save perturbation")}
        </div>
        <p class="fine" id="saved" role="status">{move || saved.get()}</p>
    }
}
