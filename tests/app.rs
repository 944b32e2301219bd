//! The page without a browser: its state as a fold over what happens, its address, its words.

#[path = "app/dropped.rs"]
mod dropped;
#[path = "app/explorer.rs"]
mod explorer;
#[path = "app/frame.rs"]
mod frame;
#[path = "app/training.rs"]
mod training;

use otjr::{
    app::{
        link::{Link, Shipped, Wish},
        message::{Input, Intent, Kind, Sort, Source, Task},
        pixels,
        reading::{Adapter, Verdict, backend, in_255ths, listed, many, path, percent, reading},
        scale,
        state::{Phase, State, sort},
        workers::RESTARTS,
    },
    config::{AttackConfig, AttackKind, Norm, Settings},
    evaluate::{Accuracy, Record, Report},
    protocol::{AttackResult, Command, Event, ModelInfo, PictureInfo, Slot, Subject, Trace, decode, encode},
    verify,
};

fn opened() -> Event {
    Event::Opened { name: "CPU (1 thread)".into(), emulated: false }
}

fn model_at(slot: Slot) -> Event {
    let classes = ["disc", "ring", "star"].map(String::from).to_vec();
    let model =
        ModelInfo { name: "m".into(), architecture: "wrn-10-1".into(), objective: None, parameters: 78_042, classes };
    Event::ModelLoaded { slot, model }
}

fn picture(label: Option<usize>, grey: u8) -> Event {
    let picture = PictureInfo {
        name: "p".into(),
        pixels: vec![grey; 3 * 32 * 32],
        original: [32, 32],
        crop: None,
        label,
        notes: Vec::new(),
    };
    Event::PictureLoaded { picture }
}

fn result(probabilities: [f32; 3], reached: bool) -> AttackResult {
    AttackResult {
        pixels: vec![0.5; 3 * 32 * 32],
        probabilities: probabilities.into(),
        reached,
        linf: 8.0 / 255.0,
        l2: 1.0,
        l1: 20.0,
        distance: reached.then_some(8.0 / 255.0),
    }
}

fn attacked(id: u64, stopped: bool, result: AttackResult) -> Event {
    let traces = vec![trace("pgd", result.reached)];
    Event::AttackDone { id, stopped, milliseconds: 1.0, result, traces, flags: Vec::new(), transfer: Vec::new() }
}

fn trace(attack: &str, reached: bool) -> Trace {
    Trace { attack: attack.into(), margins: vec![2.0, 1.0], steps: 20, queries: [22, 20], reached }
}

/// A page on the CPU with model and picture, its first attack under way.
fn attacking(hash: &str) -> State {
    let (mut state, tasks) = State::new(hash);
    assert_eq!(tasks, [Task::Start(Kind::Cpu)]);
    let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
    assert_eq!(tasks[0], Task::Promote);
    assert!(tasks.contains(&Task::LoadModel(Source::Ours(state.link.model))), "{tasks:?}");
    let index = state.link.sample;
    assert!(tasks.contains(&Task::Send(Command::LoadSample { index })), "{tasks:?}");
    let slot = state.link.model.slot();
    for event in
        [picture(Some(0), 9), model_at(slot), Event::Classified { slot, probabilities: vec![0.98, 0.015, 0.005] }]
    {
        state.apply(Input::Worker(Kind::Cpu, event));
    }
    assert_eq!(state.attack.phase, Phase::Soon);
    let tasks = state.apply(Input::Due);
    assert!(matches!(&tasks[..], [Task::Send(Command::Attack { .. })]), "{tasks:?}");
    state
}

fn visitor(state: &mut State, intent: Intent) -> Vec<Task> {
    state.apply(Input::Visitor(intent))
}

fn hear(state: &mut State, event: Event) -> Vec<Task> {
    state.apply(Input::Worker(Kind::Cpu, event))
}

fn crash(state: &mut State, kind: Kind) -> Vec<Task> {
    state.apply(Input::Crashed(kind, "panicked".into()))
}

#[test]
fn an_address_says_all_and_is_read_back() {
    let mut link =
        Link { model: Shipped::Standard, sample: 12, target: Some(3), backend: Wish::Gpu, ..Link::default() };
    link.attack = AttackConfig::of(AttackKind::ApgdDlr, Norm::L2);
    for (key, value) in [("epsilon", "0.3"), ("seed", "7"), ("restarts", "3"), ("steps", "20")] {
        link.attack.set(key, value).unwrap();
    }
    let hash = link.hash(false, false);
    assert_eq!(Link::parse(&hash), (link, vec![]));
    let (usual, problems) = Link::parse(&Link::default().hash(false, false));
    assert_eq!((usual, problems.len()), (Link::default(), 0));
    let written = Link::default().hash(false, false);
    assert_eq!(written, "#model=otjr&sample=0&attack=pgd&norm=linf&epsilon=8/255&step=2/255&steps=20&backend=auto");
    assert_eq!(Link::parse("#epsilon=4%2F255").0.attack.get("epsilon").unwrap(), "4/255");
    assert_eq!(Link::parse("").0, Link::default());
    // Another attack has other usual values, wherever in the address it is named.
    assert_eq!(Link::parse("#norm=l2&attack=square").0.attack, AttackConfig::of(AttackKind::Square, Norm::L2));
    assert_eq!(Link::parse("#steps=7&attack=apgd-ce").0.attack.steps, 7);
    assert_eq!(Link::parse("#attack=apgd-ce").0.attack.steps, 100);
}

#[test]
fn bad_values_in_an_address_are_named_and_the_rest_is_kept() {
    for (bad, key) in [
        ("epsilon=-1", "epsilon"),
        ("epsilon=abc", "epsilon"),
        ("epsilon=nan", "epsilon"),
        ("steps=0", "steps"),
        ("steps=1.5", "steps"),
        ("model=gpt", "model"),
        ("sample=x", "sample"),
        ("sample=18446743073709551615", "sample"),
        ("target=star", "target"),
        ("backend=tpu", "backend"),
        ("attack=%%%", "attack"),
        ("speed=3", "speed"),
        ("steps", "steps"),
    ] {
        let (link, problems) = Link::parse(&format!("#seed=5&{bad}&restarts=2"));
        let mut expected = Link::default();
        (expected.attack.seed, expected.attack.restarts) = (5, 2);
        assert_eq!(link, expected, "{bad}");
        assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
        assert!(problems[0].contains(key), "{bad}: {problems:?}");
    }
    let (state, _) = State::new("#epsilon=-1");
    assert!(state.notices[0].text.contains("8/255 is used instead"), "{:?}", state.notices);
}

#[test]
fn files_of_the_visitors_own_stay_out_of_the_address() {
    let mut state = attacking("");
    assert_eq!(visitor(&mut state, Intent::File(0, Sort::Picture)), [Task::LoadPicture(0)]);
    assert!(state.hash().contains("sample=0"), "not yet loaded");
    state.apply(Input::Worker(Kind::Cpu, picture(None, 1)));
    assert!(state.hash().contains("sample=own"));
    let (link, problems) = Link::parse(&state.hash());
    assert_eq!((link.sample, problems.len()), (0, 1));
}

#[test]
fn the_first_screen_is_an_attacked_sample() {
    let state = attacking("#model=ce&sample=4");
    assert!(state.busy());
    assert_eq!(state.model_in_use, Some(Source::Ours(Shipped::Standard)));
}

#[test]
fn only_the_latest_attack_is_shown() {
    let mut state = attacking("");
    let first = state.attack.id;
    assert_eq!(visitor(&mut state, Intent::Set("epsilon", "4/255".into())), [Task::Schedule(40)]);
    state.apply(Input::Due);
    assert_ne!(state.attack.id, first);
    let late = result([0.1, 0.8, 0.1], true);
    let done = |id| attacked(id, true, late.clone());
    state.apply(Input::Worker(Kind::Cpu, done(first)));
    assert_eq!(state.attack.result, None);
    state.apply(Input::Worker(Kind::Cpu, done(state.attack.id)));
    assert_eq!(state.attack.result, Some(late));
    assert!(!state.busy());
}

#[test]
fn an_attack_begins_once_however_often_a_slider_moves() {
    let mut state = attacking("");
    let id = state.attack.id;
    for epsilon in ["1/255", "2/255", "3/255"] {
        visitor(&mut state, Intent::Set("epsilon", epsilon.into()));
    }
    assert_eq!(state.apply(Input::Due).len(), 1);
    assert_eq!(state.apply(Input::Due).len(), 0);
    assert_eq!(state.attack.id, id + 1);
}

#[test]
fn an_attack_that_still_runs_does_not_hold_up_the_next() {
    let mut state = attacking("");
    let id = state.attack.id;
    visitor(&mut state, Intent::Set("steps", "40".into()));
    let late = result([0.9, 0.05, 0.05], false);
    state.apply(Input::Worker(
        Kind::Cpu,
        Event::AttackProgress { id, done: 3, total: 20, result: late.clone(), traces: Vec::new() },
    ));
    state.apply(Input::Worker(Kind::Cpu, attacked(id, false, late)));
    assert!(matches!(&state.apply(Input::Due)[..], [Task::Send(Command::Attack { .. })]));
}

#[test]
fn a_refused_file_changes_nothing() {
    let mut state = attacking("#sample=3");
    let before = state.clone();
    for (sort, subject) in [(Sort::Picture, Subject::Picture), (Sort::Model, Subject::Model)] {
        visitor(&mut state, Intent::File(0, sort));
        state.apply(Input::Worker(Kind::Cpu, Event::Refused { subject, text: format!("{subject:?} is broken") }));
    }
    assert_eq!(state.notices.len(), 2);
    let dismissed: Vec<usize> = state.notices.iter().map(|n| n.id).collect();
    for id in dismissed {
        visitor(&mut state, Intent::Dismiss(id));
    }
    assert_eq!(state.hash(), before.hash());
    assert_eq!((state.picture, state.model, state.attack), (before.picture, before.model, before.attack));
    assert_eq!((state.picture_wanted, state.model_wanted), (before.picture_in_use, before.model_in_use));
    assert!(state.notices.is_empty());
}

#[test]
fn a_dead_worker_is_started_again_a_few_times_with_the_same_picture() {
    let mut state = attacking("#sample=3");
    visitor(&mut state, Intent::File(0, Sort::Model)); // the culprit
    for _ in 0..RESTARTS {
        assert_eq!(crash(&mut state, Kind::Cpu), [Task::End, Task::Start(Kind::Cpu)]);
        let tasks = state.apply(Input::Worker(Kind::Cpu, opened()));
        let sample = Task::Send(Command::LoadSample { index: 3 });
        assert_eq!(tasks, [Task::Promote, sample, Task::LoadModel(Source::Ours(Shipped::Robust))]);
    }
    assert_eq!(crash(&mut state, Kind::Cpu), [Task::End]);
    assert!(state.notices.iter().any(|n| n.text.contains("Reload")), "{:?}", state.notices);
    assert_eq!(backend(&state).0, "Stopped");
}

#[test]
fn a_lost_device_is_a_dead_worker() {
    let mut state = attacking("");
    let lost = Event::Refused { subject: Subject::Device, text: "the device failed".into() };
    assert_eq!(state.apply(Input::Worker(Kind::Cpu, lost)), [Task::End, Task::Start(Kind::Cpu)]);
}

#[test]
fn a_real_gpu_takes_over_when_it_is_ready_and_an_emulated_one_never() {
    let mut state = attacking("");
    let real = Adapter::judge("nvidia", "ampere", "", false);
    assert_eq!(state.apply(Input::Adapter(real)), [Task::Start(Kind::Gpu)]);
    // The CPU goes on meanwhile.
    let done = attacked(1, false, result([0.9, 0.05, 0.05], false));
    state.apply(Input::Worker(Kind::Cpu, done));
    assert!(state.attack.result.is_some());
    let tasks = state.apply(Input::Worker(Kind::Gpu, Event::Opened { name: "WebGPU".into(), emulated: false }));
    assert_eq!(tasks[0], Task::Promote);
    assert_eq!(backend(&state), ("WebGPU on nvidia ampere".into(), "because this browser offers a GPU".into()));

    for soft in [Adapter::judge("google", "swiftshader", "", false), Adapter::judge("x", "", "", true)] {
        let mut state = attacking("");
        assert_eq!(state.apply(Input::Adapter(soft)), []);
        assert!(backend(&state).1.contains("emulated"), "{:?}", backend(&state));
    }
    let mut state = attacking("#backend=cpu");
    assert_eq!(state.apply(Input::Adapter(Adapter::Real("x".into()))), []);
    assert_eq!(backend(&state).1, "as chosen");
}

#[test]
fn a_gpu_that_fails_leaves_the_cpu() {
    // While the CPU runs.
    let mut state = attacking("");
    state.apply(Input::Adapter(Adapter::Real("x".into())));
    assert_eq!(crash(&mut state, Kind::Gpu), [Task::Discard]);
    assert_eq!(backend(&state).1, "because WebGPU failed here");
    // Alone.
    let (mut state, tasks) = State::new("#backend=gpu");
    assert_eq!(tasks, [Task::Start(Kind::Gpu)]);
    let refused = Event::Refused { subject: Subject::Device, text: "no usable GPU".into() };
    assert_eq!(state.apply(Input::Worker(Kind::Gpu, refused)), [Task::Discard, Task::Start(Kind::Cpu)]);
}

#[test]
fn the_visitor_chooses_who_computes() {
    let mut state = attacking("");
    assert_eq!(visitor(&mut state, Intent::Backend(Wish::Gpu)), [Task::Start(Kind::Gpu)]);
    assert_eq!(visitor(&mut state, Intent::Backend(Wish::Cpu)), [Task::Discard]);
    assert!(state.hash().ends_with("backend=cpu"));
}

#[test]
fn another_norm_begins_at_its_usual_radius() {
    let mut state = attacking("");
    visitor(&mut state, Intent::Set("norm", "l2".into()));
    assert_eq!((state.link.attack.norm, state.link.attack.epsilon.0), (Norm::L2, 128.0 / 255.0));
    visitor(&mut state, Intent::Set("norm", "linf".into()));
    assert_eq!(state.link.attack, AttackConfig::default());
}

#[test]
fn a_bad_value_in_a_box_changes_nothing() {
    let mut state = attacking("");
    assert_eq!(visitor(&mut state, Intent::Set("epsilon", "-1".into())), []);
    assert_eq!(state.link.attack, AttackConfig::default());
    assert_eq!(state.notices.len(), 1);
}

#[test]
fn the_sentence_says_what_happened() {
    let mut state = attacking("#model=ce");
    let mut after = |p, reached| {
        state.attack.result = Some(result(p, reached));
        reading(&state)
    };
    let (verdict, text) = after([0.02, 0.01, 0.97], true);
    assert_eq!(verdict, Verdict::Fooled);
    assert_eq!(
        text,
        "The standard model is fooled: disc (98 %) becomes star (97 %) by a change of at most 8/255 a pixel."
    );
    let (verdict, text) = after([0.9, 0.05, 0.05], false);
    assert_eq!(verdict, Verdict::Withstands);
    assert_eq!(
        text,
        "The standard model withstands: disc (98 %) stays disc (90 %) under a change of at most 8/255 a pixel."
    );
    state.apply(Input::Worker(Kind::Cpu, picture(Some(1), 7)));
    state.clean = vec![0.98, 0.01, 0.01];
    assert_eq!(reading(&state).1, "The standard model sees disc (98 %, though it is ring).");
}

#[test]
fn numbers_are_short_and_honest() {
    assert_eq!([0.0, 0.004, 0.5, 0.996, 1.0].map(percent), ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]);
    assert_eq!(percent(f32::NAN), "–");
    assert_eq!([8.0 / 255.0, 0.0, 0.011].map(in_255ths), ["8/255", "0/255", "2.8/255"]);
    assert_eq!(listed(&[0.1, 0.2, 0.7], &[0.9, 0.05, 0.05], 2), [0, 2]);
    assert_eq!(listed(&[0.1, 0.2, 0.7], &[], 5), [0, 1, 2]);
}

#[test]
fn sliders_stop_at_sensible_values_that_settings_take() {
    for setting in AttackConfig::settings() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let stops = scale::stops(&setting, norm);
            for (i, stop) in stops.iter().enumerate() {
                AttackConfig::default().set(setting.key, stop).unwrap();
                assert_eq!(scale::nearest(&stops, stop), i, "{}: {stop}", setting.key);
            }
            if norm == Norm::Linf && setting.unit == "pixel" {
                assert!(stops[1..].iter().all(|stop| stop.ends_with("/255")), "{}: {stops:?}", setting.key);
            }
            let usual = AttackConfig::default().get(setting.key).unwrap();
            if norm == Norm::Linf && !stops.is_empty() {
                assert!(stops.contains(&usual), "{}: {usual} in {stops:?}", setting.key);
            }
        }
    }
}

#[test]
fn another_attack_begins_with_its_own_usual_values() {
    let mut state = attacking("#epsilon=4/255&seed=3");
    visitor(&mut state, Intent::Set("attack", "apgd-ce".into()));
    let usual = AttackConfig::of(AttackKind::ApgdCe, Norm::Linf);
    let epsilon = state.link.attack.epsilon;
    assert_eq!(epsilon.0, 4.0 / 255.0);
    assert_eq!(state.link.attack, AttackConfig { epsilon, seed: 3, ..usual });
    visitor(&mut state, Intent::Set("attack", "cw".into()));
    assert_eq!((state.link.attack.norm, state.link.attack.epsilon.0), (Norm::L2, 128.0 / 255.0));
}

#[test]
fn what_several_attacks_did_is_said_in_order() {
    let mut state = attacking("#attack=autoattack");
    let id = state.attack.id;
    let traces = vec![trace("apgd-ce", false), Trace { queries: [31, 0], ..trace("square", true) }];
    let flags = vec!["careful".to_owned()];
    let mut fooled = result([0.1, 0.8, 0.1], true);
    fooled.distance = Some(7.5 / 255.0);
    let done =
        Event::AttackDone { id, stopped: false, milliseconds: 1.0, result: fooled, traces, flags, transfer: vec![] };
    state.apply(Input::Worker(Kind::Cpu, done));
    assert_eq!(
        path(&state),
        "apgd-ce fails in 20 steps, 22 looks and 20 gradients; square succeeds in 20 steps, 31 looks; the smallest \
         change found that does it has size 7.5/255."
    );
    assert_eq!(state.attack.flags, ["careful"]);
    assert!(matches!(state.attack.phase, Phase::Done { steps: 40, .. }));
    // Another picture, another story.
    state.apply(Input::Worker(Kind::Cpu, picture(None, 1)));
    assert!(state.attack.traces.is_empty() && state.attack.flags.is_empty());
}

#[test]
fn many_pictures_are_attacked_and_counted() {
    let mut state = attacking("#attack=autoattack");
    let tasks = visitor(&mut state, Intent::Many(50));
    let id = state.many.as_ref().unwrap().id;
    assert!(matches!(&tasks[..], [Task::Send(Command::Evaluate { pictures: 50, .. })]), "{tasks:?}");
    let record = Record { name: "apgd-ce".into(), before: 40, after: 30, ..Record::default() };
    let accuracy = Accuracy { pictures: 50, clean: 40, robust: 30 };
    let report = Report { accuracy, records: vec![record], flags: Vec::new(), part: 0.5 };
    let mut hear = |id, over, stopped| {
        state.apply(Input::Worker(Kind::Cpu, Event::Evaluated { id, report: report.clone(), over, stopped }));
        many(state.many.as_ref().unwrap())
    };
    assert!(hear(id + 1, true, false).contains("looks at the pictures"), "of another evaluation");
    assert!(hear(id, false, false).contains("apgd-ce, 50 % done; 60 % still stand"));
    assert!(hear(id, true, true).contains("stopped early: at most 60.0 % of 50 pictures withstand"));
    assert!(hear(id, true, false).contains("60.0 % of 50 pictures withstand, 80.0 % are right without attack"));
    // A worker that is gone, or another that takes its place, ends it.
    for gone in [Input::Crashed(Kind::Cpu, "panicked".into()), Input::Worker(Kind::Gpu, opened())] {
        let mut state = attacking("");
        visitor(&mut state, Intent::Many(50));
        visitor(&mut state, Intent::Backend(Wish::Gpu));
        state.apply(gone);
        let run = state.many.as_ref().unwrap();
        assert!(!run.running && many(run).contains("stopped"), "{run:?}");
    }
    let refused = Event::Refused { subject: Subject::Evaluation, text: "other classes".into() };
    state.apply(Input::Worker(Kind::Cpu, refused));
    assert_eq!((state.many, state.notices.len()), (None, 1));
}

#[test]
fn files_are_told_apart_by_name_or_content() {
    assert_eq!(sort("Model.SAFETENSORS", b""), Sort::Model);
    assert_eq!(sort("weights", b"\x40\x00\x00\x00\x00\x00\x00\x00{"), Sort::Model);
    assert_eq!(sort("f.safetensors", br#"12345678{"input.x":{}}"#), Sort::Fixture);
    assert_eq!(sort("cat.png", b"\x89PNG\r\n\x1a\n\0"), Sort::Picture);
    assert_eq!(sort("", b""), Sort::Picture);
}

#[test]
fn a_fixture_is_checked_on_every_backend_in_turn() {
    let mut state = attacking("");
    let tell = |state: &mut State, event| state.apply(Input::Worker(Kind::Cpu, event));
    assert_eq!(state.apply(Input::Visitor(Intent::File(4, Sort::Fixture))), [Task::Verify(4)]);
    let check = verify::Check { group: "eval".into(), worst: "eval.logits".into(), error: 1e-6, tensors: 5 };
    let checks = vec![check];
    tell(&mut state, Event::Verified { checks: checks.clone(), milliseconds: 9.0 });
    assert_eq!(state.check.as_ref().map(|c| &c.groups), Some(&checks));
    // Another worker's arithmetic is another one's.
    state.apply(Input::Visitor(Intent::Backend(Wish::Gpu)));
    let tasks = state.apply(Input::Worker(Kind::Gpu, opened()));
    assert!(tasks.contains(&Task::Verify(4)) && state.check.as_ref().is_some_and(|c| c.groups.is_empty()));
    let refused = Event::Refused { subject: Subject::Fixture, text: "no".into() };
    state.apply(Input::Worker(Kind::Gpu, refused));
    assert_eq!((state.check.is_none(), state.notices.len()), (true, 1));
}

#[test]
fn changes_are_drawn_around_a_neutral_middle() {
    let clean = [100; 3];
    let at = |d: f32| pixels::of_change(&clean, &[100.0 / 255.0 + d; 3], 0.1);
    let [middle, up, down] = [0, 6, 0].map(|i| pixels::STOPS[i]);
    assert_eq!(at(0.0)[..3], pixels::STOPS[3]);
    assert_eq!(at(0.5)[..3], up);
    assert_eq!(at(-0.1)[..3], down);
    assert_ne!(middle, up);
    assert_eq!(pixels::of_floats(&[0.0, 0.5, 1.0]), [0, 128, 255, 255]);
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
    let mut command = Command::LoadPicture { name: "a".into(), bytes: vec![] };
    command.file().unwrap().extend([1, 2, 3]);
    assert_eq!(command, Command::LoadPicture { name: "a".into(), bytes: vec![1, 2, 3] });
}
