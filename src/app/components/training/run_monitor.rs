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
        state::run::Run,
    },
    data::{IMAGE_LEN, IMAGE_SIZE},
};

/// The status of the run. The text for screen readers changes less often.
#[component]
pub fn RunProgress() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let status = Memo::new(move |_| state.with(|s| training_status::status(&s.training)));
    let announcement = Memo::new(move |_| state.with(|s| training_status::announcement(&s.training)));
    let progress = Memo::new(move |_| state.with(|s| training_status::progress(&s.training)));
    let notes = Memo::new(move |_| {
        state.with(|s| s.training.run.as_ref().map(|run| run.info.notes.join(" ")).unwrap_or_default())
    });
    view! {
        <progress id="train-progress" max="1" prop:value=move || progress.get() aria-label="Progress of the run"></progress>
        <p id="train-words">{move || status.get()}</p>
        <p class="fine" id="train-notes">{move || notes.get()}</p>
        <p class="unseen" id="train-said" role="status">{move || announcement.get()}</p>
    }
}

/// A chart with its place on the page.
struct ChartSlot {
    id: &'static str,
    /// The CSS class of its shape.
    class: &'static str,
}

/// A chart of the whole run.
struct RunChart {
    slot: ChartSlot,
    draw: fn(&Run) -> Option<Chart>,
}

const RUN_CHARTS: [RunChart; 3] = [
    RunChart { slot: ChartSlot { id: "train-chart-losses", class: "" }, draw: training_curves::losses },
    RunChart { slot: ChartSlot { id: "train-chart-accuracy", class: "" }, draw: training_curves::accuracies },
    RunChart { slot: ChartSlot { id: "train-chart-rate", class: "low" }, draw: training_curves::rates },
];

const LAST_BATCH: [ChartSlot; 2] =
    [ChartSlot { id: "train-chart-line", class: "" }, ChartSlot { id: "train-chart-plane", class: "square" }];

const TRACKED_IMAGE: [ChartSlot; 4] = [
    ChartSlot { id: "train-chart-change", class: "" },
    ChartSlot { id: "train-chart-cosine", class: "" },
    ChartSlot { id: "train-chart-first", class: "square" },
    ChartSlot { id: "train-chart-now", class: "square" },
];

/// The charts of the run; hidden if there is no run.
#[component]
pub fn RunCharts() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let has_run = Memo::new(move |_| state.with(|s| s.training.run.is_some()));
    let sentence = move |describe: fn(&Run) -> String| {
        let text = Memo::new(move |_| state.with(|s| s.training.run.as_ref().map(describe).unwrap_or_default()));
        view! { <p class="told">{move || with_nbsp(&text.get())}</p> }
    };
    let chart = move |RunChart { slot: ChartSlot { id, class }, draw }: RunChart| {
        let chart = Memo::new(move |_| state.with(|s| s.training.run.as_ref().and_then(draw)));
        view! { <ChartFigure chart id class/> }
    };
    move || {
        has_run.get().then(|| {
            view! {
                {sentence(training_curves::accuracy_summary)}
                {sentence(training_curves::loss_change)}
                <div class="plots">{RUN_CHARTS.map(chart)}</div>
                {collapsible("train-batch", "The last batch", last_batch)}
                {collapsible("train-followed", "The current image, at first and now", tracked_image)}
            }
        })
    }
}

/// A part that can be closed. Its content exists only while it is open.
fn collapsible(id: &'static str, title: &'static str, body: fn() -> AnyView) -> AnyView {
    let open = RwSignal::new(true);
    let on_toggle = move |e| open.set(event_target::<Element>(&e).has_attribute("open"));
    let is_open = Memo::new(move |_| open.get());
    view! {
        <details id=id open=true on:toggle=on_toggle>
            <summary>{title}</summary>
            {move || is_open.get().then(body)}
        </details>
    }
    .into_any()
}

/// A value that is computed again only if there is another snapshot.
fn snapshot_memo<T: PartialEq + Send + Sync + 'static>(compute: fn(&Run) -> T) -> Memo<Option<T>> {
    let state = expect_context::<AppContext>().state;
    let snapshot = Memo::new(move |_| {
        let key = |run: &Run| (run.number, run.last_snapshot.as_ref().map(|snapshot| snapshot.step));
        state.with(|s| s.training.run.as_ref().map(key))
    });
    Memo::new(move |_| {
        // A memo must be read, not only tracked, to notice changes.
        snapshot.get();
        state.with_untracked(|s| s.training.run.as_ref().map(compute))
    })
}

/// A figure of the last snapshot: its caption and its charts.
fn snapshot_figure(compute: fn(&Run) -> Figure, slots: &'static [ChartSlot]) -> AnyView {
    let figure = snapshot_memo(compute);
    let caption = move || figure.with(|figure| figure.as_ref().map(|figure| figure.caption.clone()));
    let charts = slots.iter().enumerate().map(|(i, &ChartSlot { id, class })| {
        let chart = Memo::new(move |_| figure.with(|figure| figure.as_ref()?.charts.get(i).cloned()));
        view! { <ChartFigure chart id class/> }
    });
    view! {
        <p class="told">{caption}</p>
        <div class="plots">{charts.collect_view()}</div>
    }
    .into_any()
}

fn tracked_image() -> AnyView {
    snapshot_figure(training_curves::tracked_image, &TRACKED_IMAGE)
}

/// An image of the last batch with its adversarial image, as RGBA, and their predictions.
#[derive(Clone, PartialEq)]
struct BatchImage {
    clean: Vec<u8>,
    adversarial: Vec<u8>,
    caption: String,
}

fn batch_images(run: &Run) -> Vec<BatchImage> {
    let Some(batch) = run.last_snapshot.as_ref().and_then(|snapshot| snapshot.batch.as_ref()) else {
        return Vec::new();
    };
    let mut images = Vec::new();
    for (i, &label) in batch.labels.iter().enumerate() {
        let rgba = |all: &[u8]| rgba::from_bytes(&all[i * IMAGE_LEN..(i + 1) * IMAGE_LEN]);
        let name = |class: u16| training_curves::class_name(run, class.into());
        let (clean, adversarial) = (name(batch.clean_predictions[i]), name(batch.adversarial_predictions[i]));
        images.push(BatchImage {
            clean: rgba(&batch.images),
            adversarial: rgba(&batch.adversarial_images),
            caption: format!("{}: predicted {clean}; adversarial: {adversarial}", name(label)),
        });
    }
    images
}

/// The first images of the last batch, and the transport between their logits.
fn last_batch() -> AnyView {
    let images = snapshot_memo(batch_images);
    let pair = |BatchImage { clean, adversarial, caption }: BatchImage| {
        view! { <figure>{canvas(clean)}{canvas(adversarial)}<figcaption class="fine">{caption}</figcaption></figure> }
    };
    view! {
        <p class="help">"Each training image above its adversarial image, with its class and the current predictions."</p>
        <div class="twins">{move || images.get().unwrap_or_default().into_iter().map(pair).collect_view()}</div>
        {snapshot_figure(training_curves::last_batch, &LAST_BATCH)}
    }
    .into_any()
}

/// A canvas whose content the caption describes.
fn canvas(rgba: Vec<u8>) -> AnyView {
    let canvas = painted_canvas(move || Some(rgba.clone()));
    let side = IMAGE_SIZE.to_string();
    view! { <canvas node_ref=canvas width=side.clone() height=side aria-hidden="true"></canvas> }.into_any()
}
