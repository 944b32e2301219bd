//! The worker's logic, natively: commands in, events out, bad input refused with everything as it was.

mod training;

use std::cell::RefCell;

use otjr::{
    data::{crop::Crop, image},
    explore::probe::{Probe, ProbeResult},
    platform::DeviceChoice,
    protocol::{AttackResult, Command, ErrorScope, Event, Part, Slot, Trace},
    session::Session,
};

const FIXTURE: &[u8] = include_bytes!("../fixtures/wrn10_1-c10-b2.safetensors");

struct User(Session);

impl User {
    fn new() -> Self {
        let mut user = Self(Session::default());
        assert!(matches!(user.send(Command::Open)[..], [Event::DeviceReady { emulated: false, .. }]));
        user
    }

    fn with_model_and_sample() -> Self {
        let mut user = Self::new();
        user.send(Command::LoadModel { slot: Slot::Robust, name: "fixture".into(), bytes: FIXTURE.to_vec() });
        user.send(Command::LoadSample { index: 3 });
        user
    }

    fn send(&mut self, command: Command) -> Vec<Event> {
        self.0.latest.set(command.attack().unwrap_or_default());
        let events = RefCell::new(Vec::new());
        pollster::block_on(self.0.handle(DeviceChoice::Cpu, command, &|event| events.borrow_mut().push(event)));
        events.into_inner()
    }

    fn refused(&mut self, command: Command, about: ErrorScope, because: &str) {
        match &self.send(command)[..] {
            [Event::Failed { subject, text }] => {
                assert_eq!(*subject, about);
                assert!(text.contains(because), "'{because}' is not in: {text}");
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    fn attack(&mut self, settings: &[(&str, &str)], target: Option<usize>) -> AttackResult {
        let settings = settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        match self.send(Command::Attack { id: 7, slot: Slot::Robust, settings, target }).pop() {
            Some(Event::AttackDone { id: 7, stopped: false, result, .. }) => result,
            other => panic!("no result: {other:?}"),
        }
    }
}

#[test]
fn model_then_image_then_attack() {
    let mut user = User::new();
    let events = user.send(Command::LoadModel { slot: Slot::Robust, name: "fixture".into(), bytes: FIXTURE.to_vec() });
    let [Event::ModelLoaded { model, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((model.architecture.as_str(), model.parameters, model.classes.len()), ("wrn-10-1", 77_850, 10));
    let events = user.send(Command::LoadSample { index: 3 });
    let [Event::ImageLoaded { image }, Event::Classified { probabilities, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);

    let epsilon = 8.0 / 255.0;
    for attack in ["fgsm", "pgd"] {
        let result = user.attack(&[("attack", attack), ("epsilon", "8/255")], None);
        assert!(result.linf <= epsilon && result.linf > 0.9 * epsilon);
        for (a, b) in result.pixels.iter().zip(&image.pixels) {
            assert!((a - *b as f32 / 255.0).abs() <= epsilon);
        }
    }
    let result = user.attack(&[("epsilon", "0.5"), ("step", "0.1"), ("steps", "40")], Some(2));
    let largest = result.probabilities.iter().copied().fold(0.0, f32::max);
    assert_eq!(result.reached, result.probabilities[2] == largest);
}

/// Several attacks in turn on one image: the way of each is told, and the first success ends it.
#[test]
fn autoattack_tells_its_way() {
    let mut user = User::with_model_and_sample();
    let attack = |epsilon: &str| Command::Attack {
        id: 7,
        slot: Slot::Robust,
        settings: vec![("attack".into(), "autoattack".into()), ("epsilon".into(), epsilon.into())],
        target: None,
    };
    let events = user.send(attack("0.3"));
    let Some(Event::AttackDone { traces, result, flags, .. }) = events.last() else { panic!("{events:?}") };
    assert!(result.reached && flags.is_empty(), "{flags:?}");
    let last = traces.last().unwrap();
    assert!(last.reached && last.steps > 0 && last.queries[0] > 0);
    assert!(*last.margins.last().unwrap() <= 0.0 && last.margins[0] > 0.0 && last.margins.len() <= Trace::LONGEST + 2);
    assert!(result.linf <= 0.3 && result.distance.unwrap() <= 0.3);
    // Steps that were not taken after a success are not told.
    let settings = vec![("attack".into(), "apgd-t".into()), ("epsilon".into(), "0.3".into())];
    let events = user.send(Command::Attack { id: 7, slot: Slot::Robust, settings, target: None });
    let Some(Event::AttackDone { traces, .. }) = events.last() else { panic!("{events:?}") };
    let [steps, gradients] = [traces[0].steps, traces[0].queries[1] as usize];
    assert!(traces[0].reached && steps < gradients && traces[0].margins.len() <= gradients + 3, "{steps} {gradients}");
    user.refused(
        Command::Attack { id: 9, slot: Slot::Robust, settings: vec![("attack".into(), "cw".into())], target: None },
        ErrorScope::Attack,
        "choose the norm l2",
    );
}

/// Many images of the embedded set: counted, live, and only for a model that knows its classes.
#[test]
fn many_images_are_counted() {
    let mut user = User::with_model_and_sample();
    let settings = vec![("attack".to_string(), "fgsm".to_string())];
    let evaluate = Command::Evaluate { id: 8, slot: Slot::Robust, settings, images: 20 };
    user.refused(evaluate.clone(), ErrorScope::Evaluation, "this model tells other classes apart");
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    user.0.latest.set(8);
    let events = user.send(evaluate);
    let Some(Event::Evaluated { id: 8, report, over: true, stopped: false }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((report.accuracy.images, report.records.len(), report.part), (20, 1, 1.0));
    assert!(report.accuracy.clean >= 18 && report.accuracy.robust <= report.accuracy.clean, "{report:?}");
}

#[test]
fn a_dropped_image_is_classified() {
    let mut user = User::with_model_and_sample();
    let png = image::encode_png(&[128; 3072]);
    let events = user.send(Command::LoadImage { name: "gray.png".into(), label: None, bytes: png });
    let [Event::ImageLoaded { image }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((image.pixels.as_slice(), image.original), ([128u8; 3072].as_slice(), [32, 32]));
}

/// An attack ends when a later command has come, keeps what it found, and says so.
#[test]
fn a_later_attack_ends_an_earlier_one() {
    let user = User::with_model_and_sample();
    let latest = user.0.latest.clone();
    latest.set(1);
    let events = RefCell::new(Vec::new());
    let emit = |event: Event| {
        if matches!(event, Event::AttackProgress { .. }) {
            latest.set(2);
        }
        events.borrow_mut().push(event);
    };
    let mut session = user.0;
    let settings = vec![("steps".to_string(), "10000".to_string())];
    pollster::block_on(session.handle(
        DeviceChoice::Cpu,
        Command::Attack { id: 1, slot: Slot::Robust, settings, target: None },
        &emit,
    ));
    let events = events.into_inner();
    assert!(matches!(events.last(), Some(Event::AttackDone { id: 1, stopped: true, .. })), "{:?}", events.len());
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let mut user = User::with_model_and_sample();
    let before = user.attack(&[], None);
    let model =
        |bytes: &[u8]| Command::LoadModel { slot: Slot::Robust, name: "m.safetensors".into(), bytes: bytes.to_vec() };
    let image = |bytes: &[u8]| Command::LoadImage { name: "p.png".into(), label: None, bytes: bytes.to_vec() };
    let attack = |key: &str, value: &str| Command::Attack {
        id: 9,
        slot: Slot::Robust,
        settings: vec![(key.into(), value.into())],
        target: None,
    };
    user.refused(model(&FIXTURE[..FIXTURE.len() / 2]), ErrorScope::Model, "not a complete safetensors file");
    user.refused(model(b"hello"), ErrorScope::Model, "m.safetensors");
    user.refused(image(b"hello"), ErrorScope::Image, "p.png");
    user.refused(attack("epsilon", "-1"), ErrorScope::Attack, "between 0 and 3072");
    user.refused(attack("epsilon", "abc"), ErrorScope::Attack, "8/255");
    user.refused(
        Command::Attack { id: 9, slot: Slot::Robust, settings: vec![], target: Some(10) },
        ErrorScope::Attack,
        "no class number 10",
    );
    user.refused(Command::Verify { bytes: vec![1, 2, 3] }, ErrorScope::Fixture, "safetensors");
    assert_eq!(user.attack(&[], None), before);
    User::new().refused(attack("steps", "3"), ErrorScope::Attack, "load a model first");
}

#[test]
fn a_large_image_comes_whole_and_is_seen_square_by_square() {
    let mut user = User::with_model_and_sample();
    user.refused(Command::Crop { crop: Crop::centered([9, 9]) }, ErrorScope::Image, "load an image");
    // 64 x 64: left half dark, right half bright.
    let pixels: Vec<u8> = (0..3 * 64 * 64).map(|i| if i % 64 < 32 { 20 } else { 230 }).collect();
    let (name, label) = ("p.png".to_owned(), Some("ring".to_owned()));
    let load = Command::LoadImage { name, label: label.clone(), bytes: image::encode_png(&pixels) };
    let events = user.send(load);
    let [Event::Whole { whole }, Event::ImageLoaded { image: info }, Event::Classified { .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((whole.size, whole.shown, whole.rgb.len()), ([64, 64], [64, 64], 3 * 64 * 64));
    assert_eq!(info.crop, Some(Crop::centered([64, 64])));
    let events = user.send(Command::Crop { crop: Crop { x: 32, y: 5, side: 32 } });
    let [Event::ImageLoaded { image: info }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((info.pixels.as_slice(), info.name.as_str()), (&[230; 3072][..], "p.png"));
    assert_eq!(info.label, label, "a square of it shows the same");
    // One of the right size has nothing to choose.
    let events =
        user.send(Command::LoadImage { name: "q.png".into(), label: None, bytes: image::encode_png(&[9; 3072]) });
    let [Event::ImageLoaded { image: info }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(info.crop, None);
}

/// Saved, and brought again: the same bytes, and the model is fooled without an attack.
#[test]
fn an_attacked_image_survives_its_file() {
    let mut user = User::new();
    let bytes = include_bytes!("../../public/models/ce.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "ce".into(), bytes });
    let settings = [("epsilon".to_owned(), "8/255".to_owned())];
    for index in 0..3 {
        let events = user.send(Command::LoadSample { index });
        let [Event::ImageLoaded { image: before }, Event::Classified { probabilities: clean, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        let result = user.attack(&[("epsilon", "8/255")], None);
        assert!(result.reached);
        let save = |part| Command::Save {
            slot: Slot::Robust,
            part,
            original: before.pixels.clone(),
            attacked: result.pixels.clone(),
            settings: settings.to_vec(),
            target: None,
        };
        let saved = user.send(save(Part::Attacked));
        let [Event::Saved { name, png, probabilities, fools: true }] = &saved[..] else {
            panic!("it does not fool any more: {saved:?}")
        };
        assert_eq!(name, "attacked.png");
        let saved = user.send(save(Part::Change));
        let [Event::Saved { name: change_name, png: change, .. }] = &saved[..] else { panic!("{saved:?}") };
        let factor: i32 = change_name.strip_prefix("change-x").unwrap().strip_suffix(".png").unwrap().parse().unwrap();
        let events = user.send(Command::LoadImage { name: name.clone(), label: None, bytes: png.clone() });
        let [Event::ImageLoaded { image: after }, Event::Classified { probabilities: seen, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(seen, probabilities);
        let top = |p: &[f32]| (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        assert_ne!(top(seen), top(clean));
        let change = image::decode_and_crop(change, "change").unwrap().pixels;
        for ((&b, &a), &c) in before.pixels.iter().zip(&after.pixels).zip(&change) {
            assert!(a.abs_diff(b) <= 8);
            assert_eq!(i32::from(c), 128 + factor * (i32::from(a) - i32::from(b)));
        }
    }
    let nothing = Command::Save {
        slot: Slot::Robust,
        part: Part::Change,
        original: vec![],
        attacked: vec![],
        settings: vec![],
        target: None,
    };
    user.refused(nothing, ErrorScope::Attack, "no adversarial image");
}

/// Two models: each is attacked, judges the other's image, and answers every probe of the explorer.
#[test]
fn questions_are_answered_for_each_model() {
    let mut user = User::new();
    let shipped = [
        (Slot::Robust, &include_bytes!("../../public/models/otjr.safetensors")[..]),
        (Slot::Standard, &include_bytes!("../../public/models/ce.safetensors")[..]),
    ];
    for (slot, bytes) in shipped {
        user.send(Command::LoadModel { slot, name: "m".into(), bytes: bytes.to_vec() });
    }
    let events = user.send(Command::LoadSample { index: 0 });
    assert!(matches!(&events[..], [Event::ImageLoaded { .. }, Event::Classified { .. }, Event::Classified { .. }]));
    let explore = |slot, probe| Command::Explore { id: 5, slot, probe };
    // Before there is an attack there is nothing to look at.
    let events = user.send(explore(Slot::Robust, Probe::Layers));
    assert!(matches!(&events[..], [Event::Explored { answer: Err(why), over: true, .. }] if why.contains("no attack")));

    let settings = vec![("epsilon".to_owned(), "8/255".to_owned())];
    let mut judged = Vec::new();
    for (slot, _) in shipped {
        let events = user.send(Command::Attack { id: 4, slot, settings: settings.clone(), target: None });
        let Some(Event::AttackDone { transfer, .. }) = events.last() else { panic!("{events:?}") };
        judged.push(transfer.iter().map(|t| (t.under, t.judge)).collect::<Vec<_>>());
    }
    let (robust, standard) = (Slot::Robust, Slot::Standard);
    assert_eq!(judged, [vec![(robust, standard)], vec![(standard, robust), (robust, standard)]]);
    // On the way into another world the page's own models judge no more.
    let mut left = User::with_model_and_sample();
    left.send(Command::LoadModel { slot: Slot::Custom, name: "m".into(), bytes: FIXTURE.to_vec() });
    left.send(Command::ForgetBuiltin);
    let attack = Command::Attack { id: 4, slot: Slot::Custom, settings: settings.clone(), target: None };
    let events = left.send(attack);
    assert!(matches!(events.last(), Some(Event::AttackDone { transfer, .. }) if transfer.is_empty()), "{events:?}");

    for (slot, _) in shipped {
        let mut ask = |probe: Probe| match user.send(explore(slot, probe.clone())).pop() {
            Some(Event::Explored { answer: Ok(answer), over: true, .. }) => *answer,
            other => panic!("{probe:?}: {other:?}"),
        };
        let ProbeResult::Layers(shifts) = ask(Probe::Layers) else { panic!() };
        assert_eq!((&*shifts[0].name, shifts.len()), ("pixels", 8), "pixels, conv1, three units, bn1, latent, logits");
        let ProbeResult::ChannelMaps(maps) = ask(Probe::ChannelMaps("block1.layer.0".into())) else { panic!() };
        assert!(!maps.channels.is_empty() && maps.channels[0].difference > 0.0);
        let ProbeResult::Embedding(way) = ask(Probe::Embedding) else { panic!() };
        assert!(way.path.len() > 10 && way.path.first() != way.path.last());
        let ProbeResult::AttackSteps(moments) = ask(Probe::AttackSteps) else { panic!() };
        assert_eq!((moments.len(), way.path.len()), (21, 22), "the image, 20 points, and for the plane the outcome");
        assert_eq!(moments.iter().map(|m| m.step).collect::<Vec<_>>(), (0..=20).collect::<Vec<_>>());
        let [first, .., last] = &moments[..] else { panic!() };
        assert_eq!((&first.attack[..], &last.attack[..]), ("", "pgd"));
        assert!(first.x.iter().zip(&last.x).all(|(a, b)| (a - b).abs() <= 8.0 / 255.0) && first.x != last.x);
        assert!(moments.iter().all(|m| (m.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5));
        assert!(first.probabilities != last.probabilities);
        let ProbeResult::Transport(transport) = ask(Probe::Transport) else { panic!() };
        assert_eq!((transport.arrows.len(), transport.projections.len()), (32, 32));
        let ProbeResult::Jacobian(reactions) = ask(Probe::Jacobian) else { panic!() };
        assert_eq!((reactions.transport.norms.len(), reactions.random.maps[0].len()), (32, 3072));
        let ProbeResult::MarginCurve(curve) = ask(Probe::MarginCurve) else { panic!() };
        assert!(curve[0].margin > 0.0 && curve.last().unwrap().margin <= 0.0, "{curve:?}");
        let ProbeResult::Landscape(around) = ask(Probe::Landscape) else { panic!() };
        assert_eq!(around.values.margin.len(), around.side * around.side);
        // The image itself lies on the grid.
        let at = (-around.range[0] / (around.range[1] - around.range[0]) * (around.side - 1) as f32).round() as usize;
        assert!((around.values.margin[at * around.side + at] - curve[0].margin).abs() < 1e-3);
    }
}

/// An attack that is over after a few of its many steps can be rewound too; of a long one not every step is kept.
#[test]
fn short_ways_have_moments() {
    let mut user = User::new();
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "m".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    let mut moments = |settings: &[(&str, &str)]| {
        user.attack(settings, None);
        let events = user.send(Command::Explore { id: 5, slot: Slot::Robust, probe: Probe::AttackSteps });
        match events.into_iter().next_back() {
            Some(Event::Explored { answer: Ok(answer), over: true, .. }) => match *answer {
                ProbeResult::AttackSteps(moments) => moments,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let deepfool = moments(&[("attack", "deepfool"), ("epsilon", "1"), ("steps", "50")]);
    assert!(deepfool.len() > 1, "it takes a few of 50 steps");
    let long = moments(&[("attack", "apgd-ce"), ("epsilon", "0.1/255"), ("steps", "100")]);
    let steps: Vec<usize> = long.iter().map(|m| m.step).collect();
    assert!(steps.is_sorted_by(|a, b| a < b) && steps[..21].iter().copied().eq(0..=20), "{steps:?}");
    assert!(steps.len() > 30 && steps.len() <= 41 && steps.last() == Some(&100), "{steps:?}");
}

/// A model of other classes than the embedded set's is compared with the images on the sheet, once it is there.
#[test]
fn other_worlds_have_images_of_their_own() {
    let mut user = User::new();
    let bytes = include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "three".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    user.attack(&[("attack", "fgsm")], None);
    let explore = |probe| Command::Explore { id: 5, slot: Slot::Robust, probe };
    let count = |user: &mut User| match user.send(explore(Probe::Embedding)).pop() {
        Some(Event::Explored { answer: Ok(answer), .. }) => match *answer {
            ProbeResult::Embedding(way) => way.reference.points.len(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&mut user), 200);
    let sheet = include_bytes!("../../public/photos/reference.png");
    assert!(user.send(Command::LoadReference { bytes: sheet.to_vec() }).is_empty());
    assert_eq!(count(&mut user), otjr::app::photos::PHOTOS.len());
    user.refused(Command::LoadReference { bytes: b"no image".to_vec() }, ErrorScope::Reference, "is not an image");
    // The page's own set is for the models that know it.
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "ten".into(), bytes });
    user.attack(&[("attack", "fgsm")], None);
    assert_eq!(count(&mut user), 200);
}

/// A later command ends a probe, which is then open.
#[test]
fn a_question_gives_way_to_a_later_command() {
    let mut user = User::with_model_and_sample();
    user.attack(&[("epsilon", "1/255")], None);
    let events = RefCell::new(Vec::new());
    user.0.latest.set(99);
    let emit = |event| events.borrow_mut().push(event);
    let probe = Command::Explore { id: 8, slot: Slot::Robust, probe: Probe::MarginCurve };
    pollster::block_on(user.0.handle(DeviceChoice::Cpu, probe, &emit));
    assert_eq!(events.into_inner().last(), Some(&Event::ProbeCancelled { id: 8 }));
}
