//! The progress of a run, its charts, its last batch, and the tracked image.

use leptos::prelude::*;
use web_sys::Element;

use crate::{
    app::{
        chart::Chart,
        components::common::{canvas::painted_canvas, chart_figure::ChartFigure},
        domain::format::with_nbsp,
        present::{
            figures::{Figure, training_curves},
            rgba, training_status,
        },
        runtime::context::AppContext,
        state::{run::Run, training::Training},
    },
    data::{IMAGE_LEN, IMAGE_SIZE},
};

/// How far the run is, in words: all to read, little to hear.
#[component]
pub fn RunProgress() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let of = move |tell: fn(&Training) -> String| Memo::new(move |_| state.with(|s| tell(&s.training)));
    let (words, said) = (of(training_status::status), of(training_status::announcement));
    let part = Memo::new(move |_| state.with(|s| training_status::progress(&s.training)));
    let notes = Memo::new(move |_| {
        state.with(|s| s.training.run.as_ref().map(|run| run.info.notes.join(" ")).unwrap_or_default())
    });
    view! {
        <progress id="train-progress" max="1" prop:value=move || part.get() aria-label="Progress of the run"></progress>
        <p id="train-words">{move || words.get()}</p>
        <p class="fine" id="train-notes">{move || notes.get()}</p>
        <p class="unseen" id="train-said" role="status">{move || said.get()}</p>
    }
}

type Draw = fn(&Run) -> Option<Chart>;

/// The charts that grow step by step.
const CHARTS: [(&str, &str, Draw); 3] = [
    ("train-chart-losses", "", training_curves::losses),
    ("train-chart-accuracy", "", training_curves::accuracies),
    ("train-chart-rate", "low", training_curves::rates),
];

/// Charts of views, with their rooms.
const BATCH: [(&str, &str); 2] = [("train-chart-line", ""), ("train-chart-plane", "square")];

const FOLLOWED: [(&str, &str); 4] = [
    ("train-chart-change", ""),
    ("train-chart-cosine", ""),
    ("train-chart-first", "square"),
    ("train-chart-now", "square"),
];

/// What there is to see of the run, once there is one.
#[component]
pub fn RunCharts() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let any = Memo::new(move |_| state.with(|s| s.training.run.is_some()));
    let told = move |tell: fn(&Run) -> String| {
        let words = Memo::new(move |_| state.with(|s| s.training.run.as_ref().map(tell).unwrap_or_default()));
        view! { <p class="told">{move || with_nbsp(&words.get())}</p> }
    };
    let plot = move |(id, class, of): (&'static str, &'static str, Draw)| {
        let chart = Memo::new(move |_| state.with(|s| s.training.run.as_ref().and_then(of)));
        view! { <ChartFigure chart id class/> }
    };
    move || {
        any.get().then(|| {
            view! {
                {told(training_curves::accuracy_summary)}
                {told(training_curves::loss_change)}
                <div class="plots">{CHARTS.map(plot)}</div>
                {fold("train-batch", "The last batch", batch)}
                {fold("train-followed", "The image in view, at first and now", || charts(training_curves::tracked_image, &FOLLOWED))}
            }
        })
    }
}

/// A part that can be closed; closed, it costs nothing.
fn fold(id: &'static str, title: &'static str, body: fn() -> AnyView) -> AnyView {
    let open = RwSignal::new(true);
    let toggled = move |e| open.set(event_target::<Element>(&e).has_attribute("open"));
    let shown = Memo::new(move |_| open.get());
    view! {
        <details id=id open=true on:toggle=toggled>
            <summary>{title}</summary>
            {move || shown.get().then(body)}
        </details>
    }
    .into_any()
}

/// Something of the run's last look; made anew when there is another.
fn of_look<T: PartialEq + Send + Sync + 'static>(make: fn(&Run) -> T) -> Memo<Option<T>> {
    let state = expect_context::<AppContext>().state;
    let at = Memo::new(move |_| {
        let look = |run: &Run| (run.number, run.last_snapshot.as_ref().map(|look| look.step));
        state.with(|s| s.training.run.as_ref().map(look))
    });
    Memo::new(move |_| {
        // Read, not only tracked: what is never read never notices a change.
        at.get();
        state.with_untracked(|s| s.training.run.as_ref().map(make))
    })
}

/// A view of the last look: its words, then its charts in their rooms.
fn charts(of: fn(&Run) -> Figure, rooms: &'static [(&'static str, &'static str)]) -> AnyView {
    let view = of_look(of);
    let words = move || view.with(|view| view.as_ref().map(|view| view.words.clone()));
    let plots = rooms.iter().enumerate().map(|(i, &(id, class))| {
        let chart = Memo::new(move |_| view.with(|view| view.as_ref()?.charts.get(i).cloned()));
        view! { <ChartFigure chart id class/> }
    });
    view! {
        <p class="told">{words}</p>
        <div class="plots">{plots.collect_view()}</div>
    }
    .into_any()
}

/// An image of the batch: clean and attacked, and in words.
type Pair = ([Vec<u8>; 2], String);

fn pairs(run: &Run) -> Vec<Pair> {
    let Some(seen) = run.last_snapshot.as_ref().and_then(|look| look.batch.as_ref()) else { return Vec::new() };
    let pair = |i: usize| {
        let images = [&seen.images, &seen.adversarial_images]
            .map(|all| rgba::from_bytes(&all[i * IMAGE_LEN..(i + 1) * IMAGE_LEN]));
        let [label, clean, attacked] = [&seen.labels, &seen.clean_predictions, &seen.adversarial_predictions]
            .map(|all| training_curves::class_name(run, all[i].into()));
        (images, format!("{label}: seen as {clean}; attacked, as {attacked}"))
    };
    (0..seen.labels.len()).map(pair).collect()
}

/// The last batch: its first images above their adversarial images, and the transport between their logits.
fn batch() -> AnyView {
    let pairs = of_look(pairs);
    let one = |([clean, twin], words): Pair| {
        view! { <figure>{image(clean)}{image(twin)}<figcaption class="fine">{words}</figcaption></figure> }
    };
    view! {
        <p class="help">"Each image above itself as the training attack changed it, with its class and what the model sees now."</p>
        <div class="twins">{move || pairs.get().unwrap_or_default().into_iter().map(one).collect_view()}</div>
        {charts(training_curves::last_batch, &BATCH)}
    }
    .into_any()
}

/// What it shows is said beside it.
fn image(rgba: Vec<u8>) -> AnyView {
    let canvas = painted_canvas(move || Some(rgba.clone()));
    view! { <canvas node_ref=canvas width=IMAGE_SIZE.to_string() height=IMAGE_SIZE.to_string() aria-hidden="true"></canvas> }
        .into_any()
}
