//! The worker's logic, run natively: commands and their events. Invalid input must have no effect.

mod training;

use std::{cell::RefCell, rc::Rc};

use otjr::{
    data::{crop::Crop, image},
    explore::probe::{Probe, ProbeResult},
    platform::DeviceChoice,
    protocol::{AttackImage, AttackResult, Command, ErrorScope, Event, ImageExport, Slot, Trace},
    session::{CurrentJob, Session},
};

const FIXTURE: &[u8] = include_bytes!("../fixtures/wrn10_1-c10-b2.safetensors");

/// A page that sends commands to a session and receives its events.
struct User {
    session: Session,
    events: Rc<RefCell<Vec<Event>>>,
}

impl User {
    fn new() -> Self {
        let events = Rc::<RefCell<Vec<Event>>>::default();
        let sink = events.clone();
        let session = Session::new(DeviceChoice::Cpu, move |event| sink.borrow_mut().push(event));
        let mut user = Self { session, events };
        assert!(matches!(user.send(Command::OpenDevice)[..], [Event::DeviceReady { emulated: false, .. }]));
        user
    }

    /// Creates a user whose page cancels the current job when it receives an event that matches.
    fn with_cancellation(cancels: impl Fn(&Event) -> bool + 'static) -> Self {
        let events = Rc::<RefCell<Vec<Event>>>::default();
        let current_job = CurrentJob::default();
        let (sink, job) = (events.clone(), current_job.clone());
        let mut session = Session::new(DeviceChoice::Cpu, move |event| {
            if cancels(&event) {
                job.set(u64::MAX);
            }
            sink.borrow_mut().push(event);
        });
        session.current_job = current_job;
        let mut user = Self { session, events };
        user.send(Command::OpenDevice);
        user
    }

    fn with_model_and_sample() -> Self {
        let mut user = Self::new();
        user.send(Command::LoadModel { slot: Slot::Robust, name: "fixture".into(), bytes: FIXTURE.to_vec() });
        user.send(Command::LoadSample { index: 3 });
        user
    }

    fn send(&mut self, command: Command) -> Vec<Event> {
        self.session.current_job.set(command.job_id().unwrap_or_default());
        self.handle(command)
    }

    /// Sends a command without making its job the current one.
    fn handle(&mut self, command: Command) -> Vec<Event> {
        pollster::block_on(self.session.handle(command));
        self.events.take()
    }

    /// Checks that a command fails with a message that contains `reason`.
    fn fails(&mut self, command: Command, expected: ErrorScope, reason: &str) {
        match &self.send(command)[..] {
            [Event::Failed { scope, message }] => {
                assert_eq!(*scope, expected);
                assert!(message.contains(reason), "'{reason}' is not in: {message}");
            }
            other => panic!("no error: {other:?}"),
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
fn a_model_and_an_image_are_loaded_and_attacked() {
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
        assert!(result.linf <= epsilon);
        assert!(result.linf > 0.9 * epsilon);
        for (a, b) in result.pixels.iter().zip(&image.pixels) {
            assert!((a - *b as f32 / 255.0).abs() <= epsilon);
        }
    }
    let result = user.attack(&[("epsilon", "0.5"), ("step", "0.1"), ("steps", "40")], Some(2));
    let largest = result.probabilities.iter().copied().fold(0.0, f32::max);
    assert_eq!(result.succeeded, result.probabilities[2] == largest);
}

/// AutoAttack on one image reports a trace of each attack and ends at the first success.
#[test]
fn autoattack_reports_traces() {
    let mut user = User::with_model_and_sample();
    let attack = |epsilon: &str| Command::Attack {
        id: 7,
        slot: Slot::Robust,
        settings: vec![("attack".into(), "autoattack".into()), ("epsilon".into(), epsilon.into())],
        target: None,
    };
    let events = user.send(attack("0.3"));
    let Some(Event::AttackDone { traces, result, flags, .. }) = events.last() else { panic!("{events:?}") };
    assert!(result.succeeded, "{flags:?}");
    assert!(flags.is_empty(), "{flags:?}");
    let last = traces.last().unwrap();
    assert!(last.succeeded);
    assert!(last.steps > 0);
    assert!(last.queries.forward > 0);
    assert!(*last.margins.last().unwrap() <= 0.0);
    assert!(last.margins[0] > 0.0);
    assert!(last.margins.len() <= Trace::MAX_MARGINS + 2);
    assert!(result.linf <= 0.3);
    assert!(result.distance.unwrap() <= 0.3);
    // Steps after a success are neither run nor reported.
    let settings = vec![("attack".into(), "apgd-t".into()), ("epsilon".into(), "0.3".into())];
    let events = user.send(Command::Attack { id: 7, slot: Slot::Robust, settings, target: None });
    let Some(Event::AttackDone { traces, .. }) = events.last() else { panic!("{events:?}") };
    let [steps, gradients] = [traces[0].steps, traces[0].queries.backward as usize];
    assert!(traces[0].succeeded, "{steps} {gradients}");
    assert!(steps < gradients, "{steps} {gradients}");
    assert!(traces[0].margins.len() <= gradients + 3, "{steps} {gradients}");
    user.fails(
        Command::Attack { id: 9, slot: Slot::Robust, settings: vec![("attack".into(), "cw".into())], target: None },
        ErrorScope::Attack,
        "choose the norm l2",
    );
}

/// An evaluation on images of the built-in data set needs a model with its classes.
#[test]
fn many_images_are_evaluated() {
    let mut user = User::with_model_and_sample();
    let settings = vec![("attack".to_string(), "fgsm".to_string())];
    let evaluate = Command::Evaluate { id: 8, slot: Slot::Robust, settings, images: 20 };
    user.fails(evaluate.clone(), ErrorScope::Evaluation, "this model has other classes");
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    let events = user.send(evaluate);
    let Some(Event::EvaluationProgress { id: 8, report, finished: true, stopped: false }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((report.accuracy.images, report.records.len(), report.part), (20, 1, 1.0));
    assert!(report.accuracy.clean >= 18, "{report:?}");
    assert!(report.accuracy.robust <= report.accuracy.clean, "{report:?}");
}

#[test]
fn a_dropped_image_is_classified() {
    let mut user = User::with_model_and_sample();
    let png = image::encode_png(&[128; 3072]);
    let events = user.send(Command::LoadImage { name: "gray.png".into(), label: None, bytes: png });
    let [Event::ImageLoaded { image }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((image.pixels.as_slice(), image.original), ([128u8; 3072].as_slice(), [32, 32]));
}

/// A later command stops an attack, which then reports its result so far.
#[test]
fn a_later_attack_stops_an_earlier_one() {
    let mut user = User::with_cancellation(|event| matches!(event, Event::AttackProgress { .. }));
    user.send(Command::LoadModel { slot: Slot::Robust, name: "fixture".into(), bytes: FIXTURE.to_vec() });
    user.send(Command::LoadSample { index: 3 });
    let settings = vec![("steps".to_string(), "10000".to_string())];
    let events = user.send(Command::Attack { id: 1, slot: Slot::Robust, settings, target: None });
    assert!(matches!(events.last(), Some(Event::AttackDone { id: 1, stopped: true, .. })), "{:?}", events.len());
}

#[test]
fn invalid_input_fails_and_changes_nothing() {
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
    user.fails(model(&FIXTURE[..FIXTURE.len() / 2]), ErrorScope::Model, "not a complete safetensors file");
    user.fails(model(b"hello"), ErrorScope::Model, "m.safetensors");
    user.fails(image(b"hello"), ErrorScope::Image, "p.png");
    user.fails(attack("epsilon", "-1"), ErrorScope::Attack, "between 0 and 3072");
    user.fails(attack("epsilon", "abc"), ErrorScope::Attack, "8/255");
    user.fails(
        Command::Attack { id: 9, slot: Slot::Robust, settings: vec![], target: Some(10) },
        ErrorScope::Attack,
        "no class number 10",
    );
    user.fails(Command::Verify { bytes: vec![1, 2, 3] }, ErrorScope::Fixture, "safetensors");
    assert_eq!(user.attack(&[], None), before);
    User::new().fails(attack("steps", "3"), ErrorScope::Attack, "load a model first");
}

#[test]
fn a_large_image_is_sent_whole_and_cropped() {
    let mut user = User::with_model_and_sample();
    user.fails(Command::CropImage { crop: Crop::centered([9, 9]) }, ErrorScope::Image, "load an image");
    // 64 x 64: left half dark, right half bright.
    let pixels: Vec<u8> = (0..3 * 64 * 64).map(|i| if i % 64 < 32 { 20 } else { 230 }).collect();
    let (name, label) = ("p.png".to_owned(), Some("ring".to_owned()));
    let load = Command::LoadImage { name, label: label.clone(), bytes: image::encode_png(&pixels) };
    let events = user.send(load);
    let [Event::SourceImage { image: source }, Event::ImageLoaded { image: info }, Event::Classified { .. }] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((source.size, source.preview_size, source.preview.len()), ([64, 64], [64, 64], 3 * 64 * 64));
    assert_eq!(info.crop, Some(Crop::centered([64, 64])));
    let events = user.send(Command::CropImage { crop: Crop { x: 32, y: 5, side: 32 } });
    let [Event::ImageLoaded { image: info }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((info.pixels.as_slice(), info.name.as_str()), (&[230; 3072][..], "p.png"));
    assert_eq!(info.label, label, "a crop has the same class");
    // An image of the right size cannot be cropped.
    let events =
        user.send(Command::LoadImage { name: "q.png".into(), label: None, bytes: image::encode_png(&[9; 3072]) });
    let [Event::ImageLoaded { image: info }, Event::Classified { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(info.crop, None);
}

/// An exported adversarial image that is loaded again has the same bytes and fools the model.
#[test]
fn an_adversarial_image_survives_its_file() {
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
        assert!(result.succeeded);
        let export = |image| {
            Command::ExportImage(ImageExport {
                slot: Slot::Robust,
                image,
                original: before.pixels.clone(),
                adversarial: result.pixels.clone(),
                settings: settings.to_vec(),
                target: None,
            })
        };
        let saved = user.send(export(AttackImage::Adversarial));
        let [Event::ImageExported { name, png, probabilities, fools: true }] = &saved[..] else {
            panic!("the file does not fool the model: {saved:?}")
        };
        assert_eq!(name, "attacked.png");
        let saved = user.send(export(AttackImage::Perturbation));
        let [Event::ImageExported { name: change_name, png: change, .. }] = &saved[..] else { panic!("{saved:?}") };
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
    let nothing = Command::ExportImage(ImageExport {
        slot: Slot::Robust,
        image: AttackImage::Perturbation,
        original: vec![],
        adversarial: vec![],
        settings: vec![],
        target: None,
    });
    user.fails(nothing, ErrorScope::Attack, "no adversarial image");
}

/// Two models: each is attacked and evaluated on the other's adversarial image, and every probe has a result for each.
#[test]
fn every_probe_has_a_result_for_each_model() {
    let mut user = User::new();
    let models = [
        (Slot::Robust, &include_bytes!("../../public/models/otjr.safetensors")[..]),
        (Slot::Standard, &include_bytes!("../../public/models/ce.safetensors")[..]),
    ];
    for (slot, bytes) in models {
        user.send(Command::LoadModel { slot, name: "m".into(), bytes: bytes.to_vec() });
    }
    let events = user.send(Command::LoadSample { index: 0 });
    assert!(matches!(&events[..], [Event::ImageLoaded { .. }, Event::Classified { .. }, Event::Classified { .. }]));
    let explore = |slot, probe| Command::Explore { id: 5, slot, probe };
    // Before the first attack a probe fails.
    let events = user.send(explore(Slot::Robust, Probe::Layers));
    assert!(
        matches!(&events[..], [Event::ProbeProgress { result: Err(why), finished: true, .. }] if why.contains("no attack"))
    );

    let settings = vec![("epsilon".to_owned(), "8/255".to_owned())];
    let mut transfers = Vec::new();
    for (slot, _) in models {
        let events = user.send(Command::Attack { id: 4, slot, settings: settings.clone(), target: None });
        let Some(Event::AttackDone { transfer, .. }) = events.last() else { panic!("{events:?}") };
        transfers.push(transfer.iter().map(|t| (t.source, t.evaluated_on)).collect::<Vec<_>>());
    }
    let (robust, standard) = (Slot::Robust, Slot::Standard);
    assert_eq!(transfers, [vec![(robust, standard)], vec![(standard, robust), (robust, standard)]]);
    // Unloaded built-in models are not evaluated any more.
    let mut other = User::with_model_and_sample();
    other.send(Command::LoadModel { slot: Slot::Custom, name: "m".into(), bytes: FIXTURE.to_vec() });
    other.send(Command::UnloadBuiltinModels);
    let attack = Command::Attack { id: 4, slot: Slot::Custom, settings: settings.clone(), target: None };
    let events = other.send(attack);
    assert!(matches!(events.last(), Some(Event::AttackDone { transfer, .. }) if transfer.is_empty()), "{events:?}");

    for (slot, _) in models {
        let mut ask = |probe: Probe| match user.send(explore(slot, probe.clone())).pop() {
            Some(Event::ProbeProgress { result: Ok(result), finished: true, .. }) => *result,
            other => panic!("{probe:?}: {other:?}"),
        };
        let ProbeResult::Layers(shifts) = ask(Probe::Layers) else { panic!() };
        assert_eq!((&*shifts[0].name, shifts.len()), ("pixels", 8), "pixels, conv1, three units, bn1, latent, logits");
        let ProbeResult::ChannelMaps(maps) = ask(Probe::ChannelMaps("block1.layer.0".into())) else { panic!() };
        assert!(!maps.channels.is_empty());
        assert!(maps.channels[0].difference > 0.0);
        let ProbeResult::Embedding(way) = ask(Probe::Embedding) else { panic!() };
        assert!(way.path.len() > 10);
        assert!(way.path.first() != way.path.last());
        let ProbeResult::AttackSteps(moments) = ask(Probe::AttackSteps) else { panic!() };
        assert_eq!(
            (moments.len(), way.path.len()),
            (21, 22),
            "the image, 20 points, and in the plane also the final image"
        );
        assert_eq!(moments.iter().map(|m| m.step).collect::<Vec<_>>(), (0..=20).collect::<Vec<_>>());
        let [first, .., last] = &moments[..] else { panic!() };
        assert_eq!((&first.attack[..], &last.attack[..]), ("", "pgd"));
        assert!(first.x.iter().zip(&last.x).all(|(a, b)| (a - b).abs() <= 8.0 / 255.0));
        assert!(first.x != last.x);
        assert!(moments.iter().all(|m| (m.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5));
        assert!(first.probabilities != last.probabilities);
        let ProbeResult::Transport(transport) = ask(Probe::Transport) else { panic!() };
        assert_eq!((transport.arrows.len(), transport.projections.len()), (32, 32));
        let ProbeResult::Jacobian(reactions) = ask(Probe::Jacobian) else { panic!() };
        assert_eq!((reactions.transport.norms.len(), reactions.random.maps[0].len()), (32, 3072));
        let ProbeResult::MarginCurve(curve) = ask(Probe::MarginCurve) else { panic!() };
        assert!(curve[0].margin > 0.0, "{curve:?}");
        assert!(curve.last().unwrap().margin <= 0.0, "{curve:?}");
        let ProbeResult::Landscape(around) = ask(Probe::Landscape) else { panic!() };
        assert_eq!(around.values.margin.len(), around.side * around.side);
        // The clean image is a grid point.
        let at = (-around.range[0] / (around.range[1] - around.range[0]) * (around.side - 1) as f32).round() as usize;
        assert!((around.values.margin[at * around.side + at] - curve[0].margin).abs() < 1e-3);
    }
}

/// The steps of an attack that succeeds early are recorded too. Not every step of a long attack is recorded.
#[test]
fn steps_of_short_and_long_attacks_are_recorded() {
    let mut user = User::new();
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "m".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    let mut steps_of = |settings: &[(&str, &str)]| {
        user.attack(settings, None);
        let events = user.send(Command::Explore { id: 5, slot: Slot::Robust, probe: Probe::AttackSteps });
        match events.into_iter().next_back() {
            Some(Event::ProbeProgress { result: Ok(result), finished: true, .. }) => match *result {
                ProbeResult::AttackSteps(moments) => moments,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let deepfool = steps_of(&[("attack", "deepfool"), ("epsilon", "1"), ("steps", "50")]);
    assert!(deepfool.len() > 1, "it needs a few of 50 steps");
    let long = steps_of(&[("attack", "apgd-ce"), ("epsilon", "0.1/255"), ("steps", "100")]);
    let steps: Vec<usize> = long.iter().map(|m| m.step).collect();
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    assert!(steps[..21].iter().copied().eq(0..=20), "{steps:?}");
    assert!(steps.len() > 30, "{steps:?}");
    assert!(steps.len() <= 41, "{steps:?}");
    assert!(steps.last() == Some(&100), "{steps:?}");
}

/// The explorer uses the loaded reference images for a model whose classes differ from those of the built-in data set.
#[test]
fn other_image_domains_have_their_own_reference_images() {
    let mut user = User::new();
    let bytes = include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "three".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    user.attack(&[("attack", "fgsm")], None);
    let explore = |question| Command::Explore { id: 5, slot: Slot::Robust, probe: question };
    let count = |user: &mut User| match user.send(explore(Probe::Embedding)).pop() {
        Some(Event::ProbeProgress { result: Ok(result), .. }) => match *result {
            ProbeResult::Embedding(way) => way.reference.points.len(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&mut user), 200);
    let sheet = include_bytes!("../../public/photos/reference.png");
    assert!(user.send(Command::LoadReferenceImages { bytes: sheet.to_vec() }).is_empty());
    assert_eq!(count(&mut user), otjr::app::domain::sample_photos::PHOTOS.len());
    user.fails(Command::LoadReferenceImages { bytes: b"no image".to_vec() }, ErrorScope::Reference, "is not an image");
    // The built-in data set is used for models with its classes.
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "ten".into(), bytes });
    user.attack(&[("attack", "fgsm")], None);
    assert_eq!(count(&mut user), 200);
}

/// A later command cancels a probe.
#[test]
fn a_later_command_cancels_a_probe() {
    let mut user = User::with_model_and_sample();
    user.attack(&[("epsilon", "1/255")], None);
    user.session.current_job.set(99);
    let events = user.handle(Command::Explore { id: 8, slot: Slot::Robust, probe: Probe::MarginCurve });
    assert_eq!(events.last(), Some(&Event::ProbeCancelled { id: 8 }));
}
