//! Tests of the page without a browser: state transitions, URLs and texts.

mod dropped;
mod explorer;
mod frame;
mod link;
mod photos;
mod reading;
mod training;
mod workers;

use otjr::{
    app::{
        domain::{
            action::{Msg, UserAction},
            backend::{BackendKind, BackendPreference},
            builtin_model::BuiltinModel,
            effect::Effect,
            file_kind::{FileKind, detect, is_archive},
            source::Source,
        },
        present::batch::batch_summary,
        state::{State, attack::AttackPhase},
    },
    attack::{AttackConfig, AttackKind, Norm},
    evaluate::{Accuracy, Record, Report},
    protocol::{
        AttackResult, Command, ErrorScope, Event, ImageInfo, ModelInfo, QueryCounts, Slot, Trace, TrainingDataInfo,
        UploadedDataset, decode, encode,
    },
};

fn opened() -> Event {
    Event::DeviceReady { name: "CPU (1 thread)".into(), emulated: false }
}

fn model_at(slot: Slot) -> Event {
    let classes = ["disc", "ring", "star"].map(String::from).to_vec();
    let model =
        ModelInfo { name: "m".into(), architecture: "wrn-10-1".into(), objective: None, parameters: 78_042, classes };
    Event::ModelLoaded { slot, model }
}

fn image(label: Option<&str>, gray: u8) -> Event {
    let image = ImageInfo {
        name: "p".into(),
        pixels: vec![gray; 3 * 32 * 32],
        original: [32, 32],
        crop: None,
        label: label.map(String::from),
        notes: Vec::new(),
    };
    Event::ImageLoaded { image }
}

fn result(probabilities: [f32; 3], reached: bool) -> AttackResult {
    AttackResult {
        pixels: vec![0.5; 3 * 32 * 32],
        probabilities: probabilities.into(),
        succeeded: reached,
        linf: 8.0 / 255.0,
        l2: 1.0,
        l1: 20.0,
        distance: reached.then_some(8.0 / 255.0),
    }
}

fn attacked(id: u64, stopped: bool, result: AttackResult) -> Event {
    let traces = vec![trace("pgd", result.succeeded)];
    Event::AttackDone { id, stopped, milliseconds: 1.0, result, traces, flags: Vec::new(), transfer: Vec::new() }
}

fn trace(attack: &str, reached: bool) -> Trace {
    Trace {
        attack: attack.into(),
        margins: vec![2.0, 1.0],
        steps: 20,
        queries: QueryCounts { forward: 22, backward: 20 },
        succeeded: reached,
    }
}

/// A page on the CPU with a model and an image, whose first attack is running.
fn attacking(hash: &str) -> State {
    let (mut state, tasks) = State::new(hash);
    assert_eq!(tasks, [Effect::StartWorker(BackendKind::Cpu)]);
    let tasks = state.apply(Msg::Worker(BackendKind::Cpu, opened()));
    assert_eq!(tasks[0], Effect::ActivateWorker);
    assert!(tasks.contains(&Effect::LoadModel(Source::Builtin(state.permalink.model))), "{tasks:?}");
    let index = state.permalink.sample;
    assert!(tasks.contains(&Effect::Send(Command::LoadSample { index })), "{tasks:?}");
    let slot = state.permalink.model.slot;
    for event in
        [image(Some("disc"), 9), model_at(slot), Event::Classified { slot, probabilities: vec![0.98, 0.015, 0.005] }]
    {
        state.apply(Msg::Worker(BackendKind::Cpu, event));
    }
    assert_eq!(state.attack.phase, AttackPhase::Scheduled);
    let tasks = state.apply(Msg::AttackTimerFired);
    assert!(matches!(&tasks[..], [Effect::Send(Command::Attack { .. })]), "{tasks:?}");
    state
}

fn user(state: &mut State, action: UserAction) -> Vec<Effect> {
    state.apply(Msg::User(action))
}

fn receive(state: &mut State, event: Event) -> Vec<Effect> {
    state.apply(Msg::Worker(BackendKind::Cpu, event))
}

fn crash(state: &mut State, kind: BackendKind) -> Vec<Effect> {
    state.apply(Msg::Crashed(kind, "panicked".into()))
}

#[test]
fn the_first_screen_is_an_attacked_sample() {
    let state = attacking("#model=ce&sample=4");
    assert!(state.is_attacking());
    assert_eq!(state.model_source, Some(Source::Builtin(BuiltinModel::STANDARD)));
}

#[test]
fn only_the_latest_attack_is_shown() {
    let mut state = attacking("");
    let first = state.attack.id;
    assert_eq!(
        user(&mut state, UserAction::SetAttackSetting("epsilon", "4/255".into())),
        [Effect::StartAttackTimer(40)]
    );
    state.apply(Msg::AttackTimerFired);
    assert_ne!(state.attack.id, first);
    let late = result([0.1, 0.8, 0.1], true);
    let done = |id| attacked(id, true, late.clone());
    state.apply(Msg::Worker(BackendKind::Cpu, done(first)));
    assert_eq!(state.attack.result, None);
    state.apply(Msg::Worker(BackendKind::Cpu, done(state.attack.id)));
    assert_eq!(state.attack.result, Some(late));
    assert!(!state.is_attacking());
}

#[test]
fn an_attack_begins_once_however_often_a_slider_moves() {
    let mut state = attacking("");
    let id = state.attack.id;
    for epsilon in ["1/255", "2/255", "3/255"] {
        user(&mut state, UserAction::SetAttackSetting("epsilon", epsilon.into()));
    }
    assert_eq!(state.apply(Msg::AttackTimerFired).len(), 1);
    assert_eq!(state.apply(Msg::AttackTimerFired).len(), 0);
    assert_eq!(state.attack.id, id + 1);
}

#[test]
fn an_attack_that_still_runs_does_not_hold_up_the_next() {
    let mut state = attacking("");
    let id = state.attack.id;
    user(&mut state, UserAction::SetAttackSetting("steps", "40".into()));
    let late = result([0.9, 0.05, 0.05], false);
    state.apply(Msg::Worker(
        BackendKind::Cpu,
        Event::AttackProgress { id, done: 3, total: 20, result: late.clone(), traces: Vec::new() },
    ));
    state.apply(Msg::Worker(BackendKind::Cpu, attacked(id, false, late)));
    assert!(matches!(&state.apply(Msg::AttackTimerFired)[..], [Effect::Send(Command::Attack { .. })]));
}

#[test]
fn a_refused_file_changes_nothing() {
    let mut state = attacking("#sample=3");
    let before = state.clone();
    for (sort, subject) in [(FileKind::Image, ErrorScope::Image), (FileKind::Model, ErrorScope::Model)] {
        user(&mut state, UserAction::OpenFile(0, sort));
        state.apply(Msg::Worker(
            BackendKind::Cpu,
            Event::Failed { scope: subject, message: format!("{subject:?} is broken") },
        ));
    }
    assert_eq!(state.notices.len(), 2);
    let dismissed: Vec<usize> = state.notices.iter().map(|n| n.id).collect();
    for id in dismissed {
        user(&mut state, UserAction::DismissNotice(id));
    }
    assert_eq!(state.hash(), before.hash());
    assert_eq!((state.image, state.model, state.attack), (before.image, before.model, before.attack));
    assert_eq!((state.requested_image, state.requested_model), (before.image_source, before.model_source));
    assert!(state.notices.is_empty());
}

#[test]
fn another_norm_begins_at_its_usual_radius() {
    let mut state = attacking("");
    user(&mut state, UserAction::SetAttackSetting("norm", "l2".into()));
    assert_eq!((state.permalink.attack.norm, state.permalink.attack.epsilon.0), (Norm::L2, 128.0 / 255.0));
    user(&mut state, UserAction::SetAttackSetting("norm", "linf".into()));
    assert_eq!(state.permalink.attack, AttackConfig::default());
}

#[test]
fn a_bad_value_in_a_box_changes_nothing() {
    let mut state = attacking("");
    assert_eq!(user(&mut state, UserAction::SetAttackSetting("epsilon", "-1".into())), []);
    assert_eq!(state.permalink.attack, AttackConfig::default());
    assert_eq!(state.notices.len(), 1);
}

#[test]
fn another_attack_begins_with_its_own_usual_values() {
    let mut state = attacking("#epsilon=4/255&seed=3");
    user(&mut state, UserAction::SetAttackSetting("attack", "apgd-ce".into()));
    let usual = AttackConfig::of(AttackKind::ApgdCe, Norm::Linf);
    let epsilon = state.permalink.attack.epsilon;
    assert_eq!(epsilon.0, 4.0 / 255.0);
    assert_eq!(state.permalink.attack, AttackConfig { epsilon, seed: 3, ..usual });
    user(&mut state, UserAction::SetAttackSetting("attack", "cw".into()));
    assert_eq!((state.permalink.attack.norm, state.permalink.attack.epsilon.0), (Norm::L2, 128.0 / 255.0));
}

#[test]
fn many_images_are_attacked_and_counted() {
    let mut state = attacking("#attack=autoattack");
    assert_eq!(state.evaluation_dataset(), None, "the embedded set has other classes than the model");
    let classes = ["disc", "ring", "star"].map(String::from).to_vec();
    let uploaded =
        Some(UploadedDataset { name: "small.zip".into(), kind: "folder".into(), train_images: 90, test_images: 60 });
    receive(&mut state, Event::TrainingData { data: TrainingDataInfo { uploaded, classes, labeled: Vec::new() } });
    let tasks = user(&mut state, UserAction::AttackBatch(50));
    let id = state.batch.as_ref().unwrap().id;
    assert!(matches!(&tasks[..], [Effect::Send(Command::Evaluate { images: 50, .. })]), "{tasks:?}");
    let record = Record { name: "apgd-ce".into(), before: 40, after: 30, ..Record::default() };
    let accuracy = Accuracy { images: 50, clean: 40, robust: 30 };
    let report = Report { accuracy, records: vec![record], flags: Vec::new(), part: 0.5 };
    let mut receive = |id, over, stopped| {
        state.apply(Msg::Worker(
            BackendKind::Cpu,
            Event::EvaluationProgress { id, report: report.clone(), finished: over, stopped },
        ));
        batch_summary(state.batch.as_ref().unwrap())
    };
    assert!(receive(id + 1, true, false).contains("the model is classifying the images"), "of another evaluation");
    assert!(receive(id, false, false).contains("apgd-ce, 50 % done; robust accuracy so far 60 %"));
    assert!(receive(id, true, true).contains("stopped early: robust accuracy at most 60.0 % of 50 images"));
    assert!(receive(id, true, false).ends_with(
        ": robust accuracy 60.0 % (95 % interval: 46 to 72 %) of 50 images of small.zip; clean accuracy 80.0 %."
    ));
    // The evaluation stops if the worker crashes or is replaced.
    for gone in [Msg::Crashed(BackendKind::Cpu, "panicked".into()), Msg::Worker(BackendKind::Gpu, opened())] {
        let mut state = attacking("");
        user(&mut state, UserAction::AttackBatch(50));
        user(&mut state, UserAction::SetBackend(BackendPreference::Gpu));
        state.apply(gone);
        let run = state.batch.as_ref().unwrap();
        assert!(!run.running, "{run:?}");
        assert!(batch_summary(run).contains("stopped"), "{run:?}");
    }
    let refused = Event::Failed { scope: ErrorScope::Evaluation, message: "other classes".into() };
    state.apply(Msg::Worker(BackendKind::Cpu, refused));
    assert_eq!((state.batch, state.notices.len()), (None, 1));
}

/// An attack on many images interrupts the attack on the current image, which is repeated afterwards. A finished attack is
/// not repeated.
#[test]
fn many_images_give_the_worker_back() {
    for interrupted in [true, false] {
        let mut state = attacking("");
        let attack = state.attack.id;
        if !interrupted {
            receive(&mut state, attacked(attack, false, result([0.9, 0.05, 0.05], false)));
        }
        user(&mut state, UserAction::AttackBatch(50));
        if interrupted {
            receive(&mut state, attacked(attack, true, result([0.9, 0.05, 0.05], false)));
        }
        let id = state.batch.as_ref().unwrap().id;
        let accuracy = Accuracy { images: 50, clean: 40, robust: 30 };
        let report = Report { accuracy, records: Vec::new(), flags: Vec::new(), part: 1.0 };
        let tasks = receive(&mut state, Event::EvaluationProgress { id, report, finished: true, stopped: false });
        assert_eq!(tasks.contains(&Effect::StartAttackTimer(0)), interrupted, "{tasks:?}");
    }
}

#[test]
fn files_are_told_apart_by_name_or_content() {
    assert_eq!(detect("Model.SAFETENSORS", b""), FileKind::Model);
    assert_eq!(detect("weights", b"\x40\x00\x00\x00\x00\x00\x00\x00{"), FileKind::Model);
    assert_eq!(detect("f.safetensors", br#"12345678{"input.x":{}}"#), FileKind::Fixture);
    assert_eq!(detect("cat.png", b"\x89PNG\r\n\x1a\n\0"), FileKind::Image);
    assert_eq!(detect("", b""), FileKind::Image);
    assert!(is_archive(&[0x1f, 0x8b, 8]));
    assert!(is_archive(b"PK\x03\x04"));
    assert!(!is_archive(b"\x89PNG"));
    assert!(!is_archive(b"PK\0\0\0\0\0\0{"), "the length of a safetensors file's header");
}

#[test]
fn messages_survive_the_way() {
    let event = Event::AttackProgress {
        id: 3,
        done: 1,
        total: 20,
        result: result([f32::NAN, 0.0, 1.0], true),
        traces: vec![trace("pgd", true)],
    };
    let back: Event = decode(&encode(&event)).unwrap();
    assert_eq!(format!("{back:?}"), format!("{event:?}"));
    assert!(decode::<Event>(&[200, 1, 2]).unwrap_err().contains("reload"));
    let mut command = Command::LoadImage { name: "a".into(), label: None, bytes: vec![] };
    command.attachment().unwrap().extend([1, 2, 3]);
    assert_eq!(command, Command::LoadImage { name: "a".into(), label: None, bytes: vec![1, 2, 3] });
}
