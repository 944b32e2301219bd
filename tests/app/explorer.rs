//! Several models at once, probes for the views, and the tour, in the page's state.

use otjr::{
    app::{
        domain::{
            action::{Msg, REWIND_STOPS, UserAction},
            backend::BackendPreference,
            builtin_model::{BuiltinModel, ImageDomain},
            effect::Effect,
            explorer_view::ExplorerView,
            file_kind::FileKind,
            source::Source,
            tour::{STEPS, Step},
        },
        present::{comparison, explorer::layer_names, rewind},
        state::{State, permalink::Permalink},
    },
    explore::{
        layers::LayerShift,
        probe::{AttackStep, Probe, ProbeResult},
    },
    loss::Objective,
    protocol::{AttackImage, Command, ErrorScope, Event, Slot, Transfer},
};

use super::{attacked, attacking, image, model_at, receive, result, user};

fn classified(slot: Slot) -> Event {
    Event::Classified { slot, probabilities: vec![0.9, 0.06, 0.04] }
}

/// The number and place of the attack that a task asks for.
fn attack_of(tasks: &[Effect]) -> (u64, Slot) {
    match tasks {
        [Effect::Send(Command::Attack { id, slot, .. })] => (*id, *slot),
        other => panic!("no attack: {other:?}"),
    }
}

/// A page with both models attacked; gives what it does next.
fn both_attacked() -> (State, Vec<Effect>) {
    let mut state = attacking("");
    let id = state.attack.id;
    let tasks = receive(&mut state, attacked(id, false, result([0.9, 0.05, 0.05], false)));
    assert_eq!(tasks, [Effect::LoadModel(Source::Builtin(BuiltinModel::STANDARD))]);
    assert_eq!(receive(&mut state, model_at(Slot::Standard)), [], "it is to be classified first");
    let tasks = receive(&mut state, classified(Slot::Standard));
    let (id, slot) = attack_of(&tasks);
    assert_eq!(slot, Slot::Standard);
    let Event::AttackDone { stopped, milliseconds, result, traces, flags, .. } =
        attacked(id, false, result([0.1, 0.8, 0.1], true))
    else {
        unreachable!()
    };
    let transfer = vec![
        Transfer { source: Slot::Standard, evaluated_on: Slot::Robust, probabilities: vec![0.5, 0.3, 0.2] },
        Transfer { source: Slot::Robust, evaluated_on: Slot::Standard, probabilities: vec![0.6, 0.3, 0.1] },
    ];
    let tasks = receive(&mut state, Event::AttackDone { id, stopped, milliseconds, result, traces, flags, transfer });
    (state, tasks)
}

#[test]
fn the_other_models_are_attacked_alike_and_compared() {
    let (state, _) = both_attacked();
    assert_eq!(state.slot(), Some(Slot::Robust));
    let rows = comparison::rows(&state);
    assert_eq!(rows.iter().map(|row| row.slot).collect::<Vec<_>>(), [Slot::Robust, Slot::Standard]);
    let cell = |row: usize, under: usize| rows[row].adversarial[under].clone();
    assert!(cell(0, 0).is_some_and(|c| !c.fooled && c.class == "disc"));
    assert!(cell(1, 1).is_some_and(|c| c.fooled && c.class == "ring"));
    assert!(cell(0, 1).is_some_and(|c| !c.fooled && c.probability == 0.5), "transfer");
    assert!(cell(1, 0).is_some_and(|c| !c.fooled && c.probability == 0.6), "the other way");
    let words = comparison::caption(&rows);
    assert!(
        words.starts_with("Attacked separately, the standard model is fooled, the robust model resists;"),
        "{words}"
    );
    let kept = "the adversarial image of the standard model does not fool the robust model (disc, 50 %)";
    assert!(words.contains(kept), "{words}");
    // An image that the model it was made against withstands may still fool another.
    let mut fools = rows.clone();
    fools[1].adversarial[0].as_mut().unwrap().fooled = true;
    assert!(
        comparison::caption(&fools).contains("the adversarial image of the robust model fools the standard model"),
        "{}",
        comparison::caption(&fools)
    );
}

/// What the model before made of adversarial images is not shown as the new one's.
#[test]
fn another_model_in_a_place_has_judged_nothing_yet() {
    let (mut state, _) = both_attacked();
    receive(&mut state, model_at(Slot::Standard));
    receive(&mut state, classified(Slot::Standard));
    assert_eq!(comparison::rows(&state)[1].adversarial, [None, None]);
}

/// A moment of the attack stands in for its outcome while it is in view; only the model in focus is asked, once an attack.
#[test]
fn an_attack_can_be_rewound() {
    let (mut state, tasks) = both_attacked();
    user(&mut state, UserAction::OpenView(None));
    let [Effect::Send(Command::Explore { id, .. })] = tasks[..] else { panic!("{tasks:?}") };
    receive(&mut state, Event::ProbeCancelled { id });
    let outcome = state.displayed_image().unwrap().pixels.to_vec();
    assert_eq!(rewind::step_label(&state), "");
    let tasks = user(&mut state, UserAction::Rewind(10));
    let [Effect::Send(Command::Explore { id, slot: Slot::Robust, probe: Probe::AttackSteps })] = tasks[..] else {
        panic!("{tasks:?}")
    };
    assert_eq!(
        (state.displayed_image().unwrap().pixels, rewind::step_label(&state).as_str()),
        (&outcome[..], "loading")
    );
    let original = state.image.as_ref().unwrap().to_unit_range();
    let moment = |step: usize| AttackStep {
        attack: if step == 0 { String::new() } else { "pgd".into() },
        step,
        x: original.iter().map(|x| x + step as f32 / 255.0).collect(),
        probabilities: vec![1.0 - 0.1 * step as f32, 0.1 * step as f32, 0.0],
    };
    // Fewer moments than stops.
    let answer = Ok(ProbeResult::AttackSteps((0..=4).map(moment).collect()).into());
    receive(
        &mut state,
        Event::ProbeProgress { id, slot: Slot::Robust, probe: Probe::AttackSteps, result: answer, finished: true },
    );
    assert_eq!(
        (state.displayed_image().unwrap().probabilities, rewind::step_label(&state).as_str()),
        (&[0.8, 0.2, 0.0][..], "at step 2 of 20")
    );
    assert!((state.perturbation_norms().unwrap()[0] - 2.0 / 255.0).abs() < 1e-6);
    assert_eq!(user(&mut state, UserAction::Rewind(0)), [], "it is known");
    assert_eq!(
        (state.displayed_image().unwrap().pixels, rewind::step_label(&state).as_str()),
        (&original[..], "before the attack")
    );
    assert_eq!(user(&mut state, UserAction::Rewind(REWIND_STOPS)), []);
    assert_eq!((state.displayed_image().unwrap().pixels, rewind::step_label(&state).as_str()), (&outcome[..], ""));
    // A file is made of what is in view, which is no longer the outcome.
    user(&mut state, UserAction::Rewind(5));
    assert_eq!(user(&mut state, UserAction::ExportImage(AttackImage::Adversarial)), []);
    // The next attack begins at its outcome, and its moments are others.
    user(&mut state, UserAction::Rewind(5));
    user(&mut state, UserAction::Rerun);
    state.apply(Msg::AttackTimerFired);
    assert_eq!(user(&mut state, UserAction::Rewind(5)), [], "it is not over");
    assert_eq!(state.attack.rewound, None);
    let again = attacked(state.attack.id, false, result([0.9, 0.05, 0.05], false));
    receive(&mut state, again);
    user(&mut state, UserAction::Rewind(5));
    assert_eq!(
        (state.displayed_image().unwrap().pixels, rewind::step_label(&state).as_str()),
        (&outcome[..], "loading")
    );
}

/// A layer that the model in view does not have can be left again, and nobody is asked for it.
#[test]
fn a_layer_of_another_network_is_not_asked_for() {
    let (mut state, tasks) = both_attacked();
    user(&mut state, UserAction::SelectLayer("stage 9".into()));
    let mut layers = |tasks: Vec<Effect>| {
        let [Effect::Send(Command::Explore { id, slot, probe: Probe::Layers })] = tasks[..] else {
            panic!("{tasks:?}")
        };
        let shift = LayerShift { name: "pixels".into(), shape: [3, 32, 32], relative_l2: None, cosine: None };
        let answer = Ok(ProbeResult::Layers(vec![shift]).into());
        receive(&mut state, Event::ProbeProgress { id, slot, probe: Probe::Layers, result: answer, finished: true })
    };
    let tasks = layers(tasks);
    assert_eq!(layers(tasks), []);
    assert_eq!(layer_names(&state), ["pixels", "stage 9"]);
    let tasks = user(&mut state, UserAction::SelectLayer("pixels".into()));
    assert!(matches!(&tasks[..], [Effect::Send(Command::Explore { probe: Probe::ChannelMaps(_), .. })]), "{tasks:?}");
    assert_eq!(layer_names(&state), ["pixels"]);
}

#[test]
fn a_model_that_was_attacked_comes_into_focus_at_once() {
    let (mut state, _) = both_attacked();
    let tasks = user(&mut state, UserAction::SelectModel(Source::Builtin(BuiltinModel::STANDARD)));
    assert!(!tasks.iter().any(|task| matches!(task, Effect::LoadModel(_) | Effect::StartAttackTimer(_))), "{tasks:?}");
    assert_eq!(state.slot(), Some(Slot::Standard));
    assert!(state.attack.result.as_ref().is_some_and(|r| r.succeeded));
    assert!(state.hash().starts_with("#model=ce"));
    // Under other settings both are attacked anew, the one in focus first.
    user(&mut state, UserAction::SetAttackSetting("epsilon", "4/255".into()));
    let (id, slot) = attack_of(&state.apply(Msg::AttackTimerFired));
    assert_eq!(slot, Slot::Standard);
    let tasks = receive(&mut state, attacked(id, false, result([0.1, 0.8, 0.1], true)));
    assert_eq!(attack_of(&tasks).1, Slot::Robust);
}

#[test]
fn a_stopped_attack_is_not_followed_by_others() {
    let mut state = attacking("");
    let id = state.attack.id;
    assert_eq!(receive(&mut state, attacked(id, true, result([0.9, 0.05, 0.05], false))), []);
}

#[test]
fn a_model_that_cannot_be_had_beside_is_not_tried_again() {
    let mut state = attacking("");
    let id = state.attack.id;
    receive(&mut state, attacked(id, false, result([0.9, 0.05, 0.05], false)));
    let tasks = state.apply(Msg::ReadFailed(ErrorScope::Model, "ce.safetensors could not be fetched".into()));
    assert!(!tasks.iter().any(|task| matches!(task, Effect::LoadModel(_))), "{tasks:?}");
    assert_eq!((state.slot(), state.notices.len()), (Some(Slot::Robust), 1));
}

#[test]
fn the_open_view_is_asked_for_each_model_and_again_after_another_attack() {
    let (mut state, tasks) = both_attacked();
    let probe = |tasks: &[Effect]| match tasks {
        [Effect::Send(Command::Explore { id, slot, probe })] => (*id, *slot, probe.clone()),
        other => panic!("no probe: {other:?}"),
    };
    let answer = |(id, slot, probe): (u64, Slot, Probe), over| Event::ProbeProgress {
        id,
        slot,
        probe,
        result: Ok(ProbeResult::Layers(Vec::new()).into()),
        finished: over,
    };
    let first = probe(&tasks);
    assert_eq!((first.1, &first.2), (Slot::Robust, &Probe::Layers));
    assert_eq!(receive(&mut state, answer(first.clone(), false)), [], "only a part");
    let second = probe(&receive(&mut state, answer(first.clone(), true)));
    assert_eq!((second.1, &second.2), (Slot::Standard, &Probe::Layers));
    assert_eq!(receive(&mut state, answer(second, true)), []);
    // Another view, another probe; a late answer to an old one changes nothing.
    let third = probe(&user(&mut state, UserAction::OpenView(Some(ExplorerView::Embedding))));
    assert_eq!(third.2, Probe::Embedding);
    user(&mut state, UserAction::SetAttackSetting("epsilon", "4/255".into()));
    let (id, _) = attack_of(&state.apply(Msg::AttackTimerFired));
    let before = state.explorer.clone();
    receive(&mut state, answer(third, true));
    assert_eq!(state.explorer, before);
    // What is known stays in view until there is something newer.
    assert!(state.cached_answer(Slot::Robust, &Probe::Layers).is_some_and(|known| known.attack < id));
    assert!(state.hash().contains("view=embedding"));
    assert_eq!(Permalink::parse(&state.hash()).0.view, Some(ExplorerView::Embedding));
}

#[test]
fn every_step_of_the_tour_is_an_address() {
    for n in 0..STEPS.len() {
        let (link, problems) = Permalink::parse(&Step::hash(n));
        assert_eq!((link.tour, problems), (Some(n), vec![]));
        assert_eq!(Permalink::parse(&link.hash(false, false)).0, link, "step {n}");
    }
    let (mut state, _) = State::new(&Step::hash(4));
    assert!(!state.hash_without_tour().contains("tour"));
    user(&mut state, UserAction::Navigate(Step::hash(5)));
    assert_eq!((state.permalink.tour, state.permalink.view), (Some(5), Some(ExplorerView::Embedding)));
}

/// What a step of the tour does not speak of stays as it was, and so does what no address can carry.
#[test]
fn the_tour_takes_nothing_away() {
    let mut state = attacking("#model=ce&sample=7&backend=cpu&train.objective=sw");
    user(&mut state, UserAction::Navigate(Step::hash(1)));
    let link = &state.permalink;
    assert_eq!(
        (link.tour, link.sample, link.backend, link.train.objective),
        (Some(1), 7, BackendPreference::Cpu, Objective::Sw)
    );
    let whole = "#model=ce&sample=3&backend=auto&train.objective=ce&tour=2";
    user(&mut state, UserAction::Navigate(whole.into()));
    let link = &state.permalink;
    assert_eq!(
        (link.sample, link.backend, link.train.objective),
        (3, BackendPreference::Auto, Objective::Ce),
        "but a whole address counts"
    );

    user(&mut state, UserAction::OpenFile(0, FileKind::Image));
    receive(&mut state, image(None, 1));
    user(&mut state, UserAction::OpenFile(1, FileKind::Model));
    receive(&mut state, model_at(Slot::Custom));
    let own = (Some(Source::Uploaded(0)), Some(Source::Uploaded(1)));
    let before = state.hash();
    assert!(before.contains("model=own"), "{before}");
    assert!(before.contains("sample=own"), "{before}");
    // The end of the tour, and back to a step of it in history.
    for address in [state.hash_without_tour(), before] {
        user(&mut state, UserAction::Navigate(address.clone()));
        assert_eq!((state.requested_image, state.requested_model, state.hash()), (own.0, own.1, address));
    }
    assert_eq!(state.notices, []);
    user(&mut state, UserAction::Navigate(Step::hash(4)));
    assert_eq!((state.requested_image, state.requested_model), (own.0, Some(Source::Builtin(BuiltinModel::STANDARD))));
}

/// Back from the tour: what no address can carry is what it was, also where the tour leads to another world.
#[test]
fn back_from_the_tour_the_own_model_and_image_are_there() {
    let mut state = attacking("");
    user(&mut state, UserAction::OpenFile(0, FileKind::Image));
    receive(&mut state, image(None, 1));
    user(&mut state, UserAction::OpenFile(1, FileKind::Model));
    receive(&mut state, model_at(Slot::Custom));
    let before = state.hash();
    user(&mut state, UserAction::Navigate(Step::hash(0)));
    receive(&mut state, model_at(Slot::Standard));
    assert_eq!(
        (state.model_source, state.image_source),
        (Some(Source::Builtin(BuiltinModel::STANDARD)), Some(Source::Uploaded(0)))
    );
    user(&mut state, UserAction::SelectSample(3));
    receive(&mut state, image(None, 2));
    let tasks = user(&mut state, UserAction::Navigate(before.clone()));
    assert!(tasks.contains(&Effect::LoadImage(0)), "{tasks:?}");
    receive(&mut state, image(None, 1));
    assert_eq!((state.model_source, state.hash()), (Some(Source::Uploaded(1)), before));

    let photos = BuiltinModel { domain: ImageDomain::Photos, slot: Slot::Robust };
    user(&mut state, UserAction::SelectModel(Source::Builtin(photos)));
    receive(&mut state, model_at(Slot::Robust));
    user(&mut state, UserAction::SelectModel(Source::Uploaded(1)));
    receive(&mut state, model_at(Slot::Custom));
    let before = state.hash();
    assert!(before.starts_with("#model=own&world=photos&sample=own&"), "{before}");
    let tasks = user(&mut state, UserAction::Navigate(Step::hash(0)));
    let forget = Effect::Send(Command::UnloadBuiltinModels);
    assert_eq!(tasks, [forget.clone(), Effect::LoadModel(Source::Builtin(BuiltinModel::STANDARD))], "the image stays");
    receive(&mut state, model_at(Slot::Standard));
    let tasks = user(&mut state, UserAction::Navigate(before.clone()));
    assert_eq!(tasks, [Effect::LoadReferenceImages, forget, Effect::LoadModel(Source::Uploaded(1))]);
    receive(&mut state, model_at(Slot::Custom));
    assert_eq!((state.image_source, state.hash()), (Some(Source::Uploaded(0)), before));
    assert_eq!(state.notices, []);
}
