//! The page as it is laid out, part by part.

use gloo::timers::callback::Timeout;
use leptos::{ev, prelude::*};
use wasm_bindgen_futures::spawn_local;

use super::{
    beside::Beside,
    browser,
    check::CheckTable,
    controls::Controls,
    desk::AppContext,
    framing::Framing,
    guide::Guide,
    images::Images,
    intake::{self, Toolbar},
    link::BackendPreference,
    many::BatchAttackPanel,
    message::UserAction,
    notices::Notices,
    offline,
    panel::Views,
    path::Path,
    probabilities::Probabilities,
    reading::{self, Verdict},
    state::{AttackPhase, State},
    tour::Step,
    trainer::Trainer,
    tray::Tray,
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
            if let Some(skeleton) = browser::document().get_element_by_id("skeleton") {
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
    Effect::new(move |_| browser::set_hash(&address.get()));
    window_event_listener(ev::hashchange, move |_| ctx.dispatch(UserAction::Navigate(browser::hash())));
    intake::listen(ctx);
    // Once there is something to see: keeping is not urgent.
    let attacked = Memo::new(move |_| ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. })));
    Effect::new(move |kept: Option<bool>| {
        let now = attacked.get();
        if now && kept != Some(true) {
            spawn_local(offline::keep());
        }
        now || kept == Some(true)
    });

    view! {
        <Header/>
        <main>
            <Guide/>
            <Sentence/>
            <Toolbar/>
            <Tray/>
            <Framing/>
            <div class="bench">
                {move || images.get().then(|| view! { <Images/> })}
                {move || probabilities.get().then(|| view! { <Probabilities/> })}
                {move || controls.get().then(|| view! { <Controls/> })}
            </div>
            {move || controls.get().then(|| view! { <Beside/><Views/> })}
            {move || controls.get().then(|| view! { <div class="below"><Path/><BatchAttackPanel/></div> })}
            {move || trainer.get().then(|| view! { <Trainer/> })}
            <CheckTable/>
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

#[component]
fn Header() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let line = Memo::new(move |_| ctx.state.with(reading::backend));
    let option = move |wish: BackendPreference| {
        let title = match wish {
            BackendPreference::Auto => "what is fastest",
            BackendPreference::Cpu => "the CPU",
            BackendPreference::Gpu => "WebGPU",
        };
        view! { <option value=wish.key() prop:selected=move || ctx.state.with(|s| s.link.backend == wish)>{title}</option> }
    };
    view! {
        <header>
            <h1>"OTJR"<span>"How little it takes to fool an image classifier"</span></h1>
            <a class="tour button" id="tour" href=Step::hash(0)>"Take the tour"</a>
            <div class="backend">
                <p id="backend-line">
                    <strong>{move || line.get().0}</strong>
                    {move || line.with(|(_, why)| if why.is_empty() { String::new() } else { format!(", {why}") })}
                </p>
                <label>
                    "Compute on "
                    <select
                        id="backend"
                        aria-describedby="backend-line"
                        on:change=move |e| ctx.dispatch(UserAction::Backend(BackendPreference::parse(&event_target_value(&e)).unwrap_or_default()))
                    >
                        {BackendPreference::ALL.map(option)}
                    </select>
                </label>
            </div>
        </header>
    }
}

/// What came out of it, in one sentence; read aloud when an attack is over, not at every step.
#[component]
fn Sentence() -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let now = Memo::new(move |_| ctx.state.with(reading::reading));
    let said = Memo::new(move |before: Option<&String>| {
        let done = ctx.state.with(|s| matches!(s.attack.phase, AttackPhase::Done { .. }));
        if done { now.get().1 } else { before.cloned().unwrap_or_default() }
    });
    let class = move || match now.get().0 {
        Verdict::Waiting => "verdict waiting",
        Verdict::Withstands => "verdict withstands",
        Verdict::Fooled => "verdict fooled",
        Verdict::Mistaken => "verdict",
    };
    view! {
        <p class=class id="verdict" tabindex="-1"><span class="sign" aria-hidden="true"></span>{move || reading::with_nbsp(&now.get().1)}</p>
        <p class="unseen" role="status" aria-live="polite">{move || said.get()}</p>
    }
}
