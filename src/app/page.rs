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
        layout::{footer::Footer, header::Header, notices::Notices, tour_panel::TourPanel},
        picker::{crop_editor::CropEditor, drop_zone, toolbar::Toolbar, uploads::Uploads},
        training::TrainingSection,
    },
    domain::action::UserAction,
    runtime::context::AppContext,
    state::{State, attack::AttackPhase},
};

/// Starts the worker, then mounts the page. Until it is complete, `index.html` shows a skeleton.
pub fn mount() {
    let ctx = AppContext::open();
    Timeout::new(0, move || leptos::mount::mount_to_body(move || view! { <App ctx/> })).forget();
}

/// Number of stages in which the page is rendered, each in its own task, so that none of them blocks for long.
const STAGES: u32 = 4;

/// Renders the next stage in a new task. After the last one, the skeleton is removed.
fn render_next(stage: RwSignal<u32>) {
    Timeout::new(0, move || {
        let current = stage.get_untracked();
        if current < STAGES {
            stage.set(current + 1);
            render_next(stage);
        } else if let Some(skeleton) = dom::document().get_element_by_id("skeleton") {
            skeleton.remove();
        }
    })
    .forget();
}

#[component]
fn App(ctx: AppContext) -> impl IntoView {
    provide_context(ctx);
    sync_url(ctx);
    drop_zone::listen(ctx);
    cache_after_first_attack(ctx);

    let stage = RwSignal::new(0);
    render_next(stage);
    let from_stage = move |n| Memo::new(move |_| stage.get() >= n);
    let (images, probabilities, settings, training) = (from_stage(1), from_stage(2), from_stage(3), from_stage(STAGES));
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
                {move || settings.get().then(|| view! { <AttackSettings/> })}
            </div>
            {move || settings.get().then(|| view! { <ComparisonTable/><Explorer/> })}
            {move || settings.get().then(|| view! { <div class="below"><AttackTrace/><BatchAttackPanel/></div> })}
            {move || training.get().then(|| view! { <TrainingSection/> })}
            <BackendCheckTable/>
        </main>
        <Footer/>
        <Notices/>
    }
}

/// Writes the state to the URL hash, and applies the hash when the user changes it.
fn sync_url(ctx: AppContext) {
    let hash = Memo::new(move |_| ctx.state.with(State::hash));
    Effect::new(move |_| dom::set_hash(&hash.get()));
    window_event_listener(ev::hashchange, move |_| ctx.dispatch(UserAction::Navigate(dom::hash())));
}

/// Makes the page available offline after the first attack, because this is not urgent.
fn cache_after_first_attack(ctx: AppContext) {
    let is_done = Memo::new(move |_| ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. })));
    Effect::new(move |was_cached: Option<bool>| {
        let was_cached = was_cached.unwrap_or(false);
        if is_done.get() && !was_cached {
            spawn_local(service_worker::cache_page());
        }
        was_cached || is_done.get()
    });
}
