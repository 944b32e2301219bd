//! The page: mounts it and lays out its sections.

use gloo::timers::callback::Timeout;
use leptos::{ev, prelude::*};
use wasm_bindgen_futures::spawn_local;

use crate::app::{
    browser::{dom, service_worker},
    components::{
        attack::{
            attack_settings::AttackSettings, attack_trace::AttackTrace, backend_check::BackendCheckTable,
            batch_attack::BatchAttackPanel, class_probabilities::ClassProbabilities, comparison_table::ComparisonTable,
            images::AttackImages, verdict::VerdictLine,
        },
        explorer::Explorer,
        layout::{header::Header, notices::Notices, tour_panel::TourPanel},
        picker::{crop_editor::CropEditor, drop_zone, toolbar::Toolbar, uploads::Uploads},
        training::TrainingSection,
    },
    domain::action::UserAction,
    runtime::context::AppContext,
    state::{State, attack::AttackPhase},
};

/// What the page comes with, to read.
const LINKS: [(&str, &str); 4] = [
    ("public/models/README.md", "The models"),
    ("public/study/README.md", "The study"),
    ("public/photos/CREDITS.md", "Photo credits"),
    ("LICENSE.txt", "License (MIT)"),
];

/// Starts the worker, then builds the page beside what `index.html` shows meanwhile.
pub fn mount() {
    let ctx = AppContext::open();
    Timeout::new(0, move || leptos::mount::mount_to_body(move || view! { <App ctx/> })).forget();
}

/// Parts of the page that are built one after another, each in a task of its own, so that none blocks for long.
const PARTS: u32 = 4;

/// Builds the next part; after the last, the page takes the place of the skeleton, behind which it was hidden.
fn build(part: RwSignal<u32>) {
    let next = move || match part.get_untracked() {
        PARTS => {
            if let Some(skeleton) = dom::document().get_element_by_id("skeleton") {
                skeleton.remove();
            }
        }
        n => {
            part.set(n + 1);
            build(part);
        }
    };
    Timeout::new(0, next).forget();
}

#[component]
fn App(ctx: AppContext) -> impl IntoView {
    provide_context(ctx);
    let part = RwSignal::new(0);
    let reached = move |n| Memo::new(move |_| part.get() >= n);
    let (images, probabilities, controls, trainer) = (reached(1), reached(2), reached(3), reached(PARTS));
    build(part);

    let address = Memo::new(move |_| ctx.state.with(State::hash));
    Effect::new(move |_| dom::set_hash(&address.get()));
    window_event_listener(ev::hashchange, move |_| ctx.dispatch(UserAction::Navigate(dom::hash())));
    drop_zone::listen(ctx);
    // Once there is something to see: keeping is not urgent.
    let attacked = Memo::new(move |_| ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. })));
    Effect::new(move |kept: Option<bool>| {
        let now = attacked.get();
        if now && kept != Some(true) {
            spawn_local(service_worker::cache_page());
        }
        now || kept == Some(true)
    });

    view! {
        <Header/>
        <main>
            <TourPanel/>
            <VerdictLine/>
            <Toolbar/>
            <Uploads/>
            <CropEditor/>
            <div class="bench">
                {move || images.get().then(|| view! { <AttackImages/> })}
                {move || probabilities.get().then(|| view! { <ClassProbabilities/> })}
                {move || controls.get().then(|| view! { <AttackSettings/> })}
            </div>
            {move || controls.get().then(|| view! { <ComparisonTable/><Explorer/> })}
            {move || controls.get().then(|| view! { <div class="below"><AttackTrace/><BatchAttackPanel/></div> })}
            {move || trainer.get().then(|| view! { <TrainingSection/> })}
            <BackendCheckTable/>
        </main>
        <footer>
            <p>
                "Nothing leaves this machine: images and models are read, classified and attacked in this page alone. \
                 Only an image's address that you give is fetched, by a part of the page that can do nothing else."
            </p>
            <p id="about">
                "OTJR, Optimal Transport with Jacobian Regularization, is a way to train by Le, Tariq and Woo: adversarial \
                 training that also brings the attacked logits back to the clean ones, by their sliced Wasserstein distance, \
                 and makes the logits react little to pixels along that transport, by a penalty on the input Jacobian. The \
                 study shows what that comes to here, and what not: "
                {LINKS.map(|(href, title)| view! { <a href=href target="_blank">{title}</a>" " })}
            </p>
        </footer>
        <Notices/>
    }
}
