//! Training in the worker: begun, interrupted, moved, tuned; and the very run that the native code makes of it.

use std::{
    cell::RefCell,
    io::{Cursor, Write},
};

use otjr::{
    checkpoint::Checkpoint,
    data::{Splits, image, synthetic},
    platform::DeviceChoice,
    protocol::{Command, ErrorScope, Event, Origin, Pairs, Purpose, RunInfo, RunSnapshot, Slot},
    session::{CurrentJob, Files, Queue, training::largest_batch},
    settings::Settings,
    train::{Record, TrainConfig, Trainer, config_of, own_of},
};

use super::{FIXTURE, User};

/// A run of a moment: 2 epochs of 4 steps.
fn settings(more: &[(&str, &str)]) -> Pairs {
    let short = [("limit", "64"), ("limit-test", "20"), ("batch", "16"), ("epochs", "2"), ("train-steps", "1")];
    short.iter().chain(more).map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn begin(user: &mut User, more: &[(&str, &str)]) -> RunInfo {
    let events = user.send(Command::Begin { origin: Origin::Scratch, settings: settings(more) });
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    *run.clone()
}

/// Trains for so many steps; gives the records and the looks.
fn train(user: &mut User, steps: u64) -> (Vec<Record>, Vec<RunSnapshot>) {
    let events = user.send(Command::Train { id: 3, steps });
    assert!(matches!(events.last(), Some(Event::TrainProgress { id: 3, over: true, .. })), "{events:?}");
    let (mut all, mut looks) = (Vec::new(), Vec::new());
    for event in events {
        let Event::TrainProgress { records, look, .. } = event else { panic!("{event:?}") };
        all.extend(records);
        looks.extend(look.map(|look| *look));
    }
    (all, looks)
}

fn export(user: &mut User, purpose: Purpose) -> (String, Vec<u8>) {
    let events = user.send(Command::Export { number: 5, purpose });
    let [Event::Exported { number: 5, name, bytes, .. }] = &events[..] else { panic!("{events:?}") };
    (name.clone(), bytes.clone())
}

fn natively(settings: &Pairs) -> (Trainer, Splits) {
    let mut config = TrainConfig::demo();
    config.apply(settings).unwrap();
    let data = synthetic::default_splits([config.limit, config.limit_test]);
    let device = burn::tensor::Device::flex();
    (Trainer::new(&config, &data.train, &device).unwrap(), data)
}

/// Interrupted, attacked between, moved to another worker and to the native code: the same bits as in one go.
#[test]
fn a_run_is_the_same_wherever_and_however_often_it_is_interrupted() {
    let (mut native, data) = natively(&settings(&[]));
    while native.step < native.steps(&data.train) {
        native.step(&data.train);
    }
    let expected = pollster::block_on(native.checkpoint()).unwrap().to_bytes();

    let mut user = User::with_model_and_sample();
    let run = begin(&mut user, &[]);
    assert_eq!((run.step, run.steps, run.batch, run.images, run.held_out), (0, 8, 16, 64, 20));
    let (records, looks) = train(&mut user, 3);
    assert_eq!((records.len(), records[2].step), (3, 3));
    assert_eq!(looks.len(), 1, "before the first step");
    assert!(looks[0].batch.is_none() && looks[0].followed.is_some());
    user.attack(&[("steps", "2")], None);
    train(&mut user, 1);
    let (name, copy) = export(&mut user, Purpose::SaveRun);
    assert_eq!(name, "otjr-step-4-run.safetensors");

    let mut other = User::new();
    let events = other.send(Command::Resume { name, bytes: copy.clone(), batch: 0 });
    let [Event::RunReady { run }, Event::Data { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.step, run.steps), (4, 8));
    let (records, looks) = train(&mut other, u64::MAX);
    assert_eq!((records.len(), looks.len()), (4, 1), "looked at in the end");
    let seen = looks[0].batch.as_ref().unwrap();
    assert_eq!((seen.x.len(), seen.labels.len(), looks[0].step), (8 * 3072, 8, 8));
    assert!(seen.x.iter().zip(&seen.x_adv).all(|(a, b)| a.abs_diff(*b) <= 8), "within the radius of training");
    assert_eq!(seen.transport.as_ref().unwrap().arrows.len(), 16);
    assert_eq!(export(&mut other, Purpose::Keep).1, expected);

    let mut natively =
        Trainer::resume(&Checkpoint::from_bytes(&copy).unwrap(), &data.train, &burn::tensor::Device::flex()).unwrap();
    while natively.step < natively.steps(&data.train) {
        natively.step(&data.train);
    }
    assert_eq!(pollster::block_on(natively.checkpoint()).unwrap().to_bytes(), expected);
}

#[test]
fn a_later_command_interrupts_training() {
    let mut user = User::new();
    begin(&mut user, &[("epochs", "1000")]);
    let latest = user.0.latest.clone();
    latest.set(9);
    let events = RefCell::new(Vec::new());
    let emit = |event| {
        latest.set(10);
        events.borrow_mut().push(event);
    };
    let command = Command::Train { id: 9, steps: u64::MAX };
    pollster::block_on(user.0.handle(DeviceChoice::Cpu, command, &emit));
    let last = events.into_inner().pop();
    assert!(matches!(last, Some(Event::TrainProgress { id: 9, step: 0..100, over: true, .. })), "{last:?}");
}

#[test]
fn settings_change_while_it_runs_if_they_may() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 1);
    let tune = |key: &str, value: &str| Command::Tune { settings: vec![(key.into(), value.into())] };
    let events = user.send(tune("rate", "0.01"));
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    assert!(run.settings.contains(&("rate".into(), "0.01".into())) && run.step == 1);
    let (records, _) = train(&mut user, 1);
    assert!(records[0].rate <= 0.01);
    user.refused(tune("batch", "8"), ErrorScope::Training, "fixed while a run is under way");
    user.refused(tune("rate", "-1"), ErrorScope::Training, "between 0 and 100");
    // It goes on in a copy.
    let (_, copy) = export(&mut user, Purpose::Keep);
    assert_eq!(config_of(&Checkpoint::from_bytes(&copy).unwrap()).unwrap().rate, 0.01);
}

/// A run with fewer epochs than are done is over, and looked at a last time.
#[test]
fn fewer_epochs_end_a_run() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 6);
    let events = user.send(Command::Tune { settings: vec![("epochs".into(), "1".into())] });
    assert!(matches!(&events[..], [Event::RunReady { run }] if run.steps == 4), "{events:?}");
    let (records, looks) = train(&mut user, u64::MAX);
    assert_eq!((records.len(), looks.iter().map(|look| look.step).collect::<Vec<_>>()), (0, vec![6]));
}

/// A small command ends training alone, and even that only in its turn; all else ends at once what is computed.
#[test]
fn small_commands_wait_in_line() {
    let latest = CurrentJob::default();
    let mut queue = Queue::new(latest.clone());
    let small = || Command::Tune { settings: Pairs::new() };
    let attack = |id| Command::Attack { id, slot: Slot::Robust, settings: Pairs::new(), target: None };
    queue.push(attack(1), None);
    assert!(queue.pop().is_some());
    queue.push(small(), None);
    queue.push(Command::Export { number: 5, purpose: Purpose::Keep }, None);
    assert_eq!(latest.get(), 1, "the attack goes on");
    queue.push(Command::Train { id: 2, steps: 9 }, None);
    queue.push(small(), None);
    queue.pop();
    queue.pop();
    assert!(latest.get() == 2 && queue.pop().is_some());
    assert_eq!(latest.get(), 0, "training ends for what waits behind it");
    queue.pop();
    queue.push(Command::Train { id: 3, steps: 9 }, None);
    queue.pop();
    assert_eq!(latest.get(), 3);
    queue.push(attack(4), None);
    queue.push(small(), None);
    assert_eq!(latest.get(), 4, "an attack that waits is not ended");
    queue.push(Command::Export { number: 5, purpose: Purpose::Try }, None);
    assert_eq!(latest.get(), 0, "a model that is to be attacked does not wait for an attack");
}

/// From a model that was loaded; the model itself stays as it was.
#[test]
fn a_loaded_model_is_tuned() {
    let mut user = User::new();
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    let before = user.attack(&[("steps", "3")], None);
    let more = settings(&[("rate", "0.01"), ("model", "wrn-16-1")]);
    let events = user.send(Command::Begin { origin: Origin::Model(Slot::Robust), settings: more });
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(run.architecture, "wrn-10-1", "the model's own");
    let (_, looks) = train(&mut user, 2);
    assert!(looks[0].clean > 0.8 && looks[0].robust > 0.6, "{looks:?}");
    assert_eq!(user.attack(&[("steps", "3")], None), before);
    // The trained model is taken away and attacked like any other.
    let (name, bytes) = export(&mut user, Purpose::Try);
    assert_eq!(name, "otjr-step-2-model.safetensors");
    let events = user.send(Command::LoadModel { slot: Slot::Custom, name, bytes: bytes.clone() });
    assert!(
        matches!(&events[..], [Event::ModelLoaded { .. }, Event::Classified { slot: Slot::Custom, .. }]),
        "{events:?}"
    );
    // As a run to be judged it looks at no image.
    let events = user.send(Command::LoadModel { slot: Slot::Run, name: "run".into(), bytes });
    assert!(matches!(&events[..], [Event::ModelLoaded { .. }]), "{events:?}");
    let settings = vec![("attack".to_owned(), "fgsm".to_owned())];
    let events = user.send(Command::Evaluate { id: 8, slot: Slot::Run, settings, images: 20 });
    assert!(matches!(events.last(), Some(Event::Evaluated { over: true, .. })), "{events:?}");
    assert!(matches!(
        &user.send(Command::LoadSample { index: 4 })[..],
        [_, Event::Classified { .. }, Event::Classified { .. }]
    ));
}

/// An image of a new class: it is trained on, goes with the run's file, and the native code knows it from there.
#[test]
fn labeled_images_go_with_the_run() {
    let mut user = User::with_model_and_sample();
    let label = |class: &str| Command::Label { class: class.into(), pixels: vec![200; 3072] };
    user.refused(label("  "), ErrorScope::Data, "a name");
    let events = user.send(label("teapot"));
    let [Event::Data { data }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((data.classes.len(), &data.own[..]), (11, &[("teapot".to_owned(), 1)][..]));
    let run = begin(&mut user, &[]);
    assert_eq!((run.classes.len(), run.classes[10].as_str()), (11, "teapot"));
    assert_eq!(run.images, 64 + 6, "as many as the others have on average");
    train(&mut user, 2);
    let (name, copy) = export(&mut user, Purpose::Keep);
    let checkpoint = Checkpoint::from_bytes(&copy).unwrap();
    assert_eq!(own_of(&checkpoint).unwrap().len(), 1);
    let mut other = User::new();
    let events = other.send(Command::Resume { name, bytes: copy, batch: 0 });
    let [Event::RunReady { run }, Event::Data { data }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.images, run.step, data.own.len()), (70, 2, 1));
    train(&mut user, u64::MAX);
    train(&mut other, u64::MAX);
    assert_eq!(export(&mut user, Purpose::Keep).1, export(&mut other, Purpose::Keep).1);
    // It is judged by images of the ten classes that there are images of.
    let (name, bytes) = export(&mut user, Purpose::Keep);
    user.send(Command::LoadModel { slot: Slot::Run, name, bytes });
    let fgsm = vec![("attack".to_owned(), "fgsm".to_owned())];
    let events = user.send(Command::Evaluate { id: 8, slot: Slot::Run, settings: fgsm, images: 20 });
    assert!(matches!(events.last(), Some(Event::Evaluated { over: true, .. })), "{events:?}");
    // A model that knows the first ten classes learns the eleventh.
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    user.send(Command::Begin { origin: Origin::Model(Slot::Robust), settings: settings(&[]) });
    let (_, looks) = train(&mut user, 1);
    assert!(looks[0].clean > 0.8, "what it knew it knows: {looks:?}");
    user.send(Command::Unlabel);
    assert_eq!(begin(&mut user, &[]).classes.len(), 10);
}

/// A zip of class folders is a data set; what is none says so and leaves the last one.
#[test]
fn a_zip_of_class_folders_is_trained_on() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (class, gray) in [("dark", 40u8), ("light", 200)] {
        for n in 0..20 {
            zip.start_file(format!("set/{class}/{n}.png"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&image::encode_png(&[gray + n; 3072])).unwrap();
        }
    }
    let zip = zip.finish().unwrap().into_inner();
    let mut user = User::new();
    let load = |user: &mut User, bytes: Vec<u8>| {
        user.0.files = Some(Files::Archive(Box::new(Cursor::new(bytes))));
        user.send(Command::LoadData { name: "set.zip".into() })
    };
    let events = load(&mut user, zip);
    let [Event::Data { data }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(data.brought, Some(("set.zip".into(), "folder".into(), [36, 4])));
    assert_eq!(data.classes, ["dark", "light"]);
    let run = begin(&mut user, &[("dataset", "folder"), ("limit", "0"), ("objective", "pgd")]);
    assert_eq!((run.images, run.steps, run.classes.len()), (36, 4, 2));
    let (records, _) = train(&mut user, u64::MAX);
    assert_eq!(records.len(), 4);
    let events = load(&mut user, b"hello".to_vec());
    assert!(matches!(&events[..], [Event::Failed { subject: ErrorScope::Data, .. }]), "{events:?}");
    begin(&mut user, &[("dataset", "folder")]);
    let other = Command::Begin { origin: Origin::Scratch, settings: settings(&[("dataset", "cifar10")]) };
    user.refused(other, ErrorScope::Training, "this run trains on cifar10: open its archive");
}

#[test]
fn what_cannot_be_trained_is_refused_and_the_run_stays() {
    let mut user = User::with_model_and_sample();
    user.refused(Command::Train { id: 1, steps: 1 }, ErrorScope::Training, "begin a run first");
    user.refused(Command::Export { number: 1, purpose: Purpose::Keep }, ErrorScope::Export, "begin a run first");
    let from = |slot| Command::Begin { origin: Origin::Model(slot), settings: settings(&[]) };
    user.refused(from(Slot::Standard), ErrorScope::Training, "not loaded yet");
    begin(&mut user, &[]);
    train(&mut user, 2);
    let (_, copy) = export(&mut user, Purpose::Keep);
    let resume = |bytes: &[u8]| Command::Resume { name: "r".into(), bytes: bytes.to_vec(), batch: 0 };
    user.refused(resume(&copy[..copy.len() / 2]), ErrorScope::Training, "not a complete safetensors file");
    user.refused(resume(FIXTURE), ErrorScope::Training, "the file is a model, not a run");
    let (_, model) = export(&mut user, Purpose::SaveModel);
    user.refused(resume(&model), ErrorScope::Training, "the file is a model, not a run");
    let (records, _) = train(&mut user, 1);
    assert_eq!(records[0].step, 3, "the run goes on");
    // A rate that no loss survives.
    begin(&mut user, &[("rate", "100"), ("schedule", "cosine"), ("epochs", "50")]);
    let events = user.send(Command::Train { id: 3, steps: u64::MAX });
    let last = events.last();
    assert!(
        matches!(last, Some(Event::Failed { subject: ErrorScope::Diverged, text }) if text.contains("lower the rate")),
        "{last:?}"
    );
    user.refused(Command::Export { number: 1, purpose: Purpose::Keep }, ErrorScope::Export, "lower the rate");
}

/// A native run that sets images aside learns from no others here; one that learns from a second set cannot go on.
#[test]
fn a_native_run_learns_from_the_same_images() {
    let run = |more: &[(&str, &str)]| {
        let (trainer, mut data) = natively(&settings(more));
        data.train.split_off_stratified(trainer.config.validation);
        let mut trainer = Trainer::new(&trainer.config, &data.train, &burn::tensor::Device::flex()).unwrap();
        trainer.step(&data.train);
        (trainer, data)
    };
    let resume = |trainer: &Trainer| {
        let bytes = pollster::block_on(trainer.checkpoint()).unwrap().to_bytes();
        Command::Resume { name: "r".into(), bytes, batch: 0 }
    };
    let mut user = User::new();
    let (mut trainer, data) = run(&[("validation", "16")]);
    let events = user.send(resume(&trainer));
    let [Event::RunReady { run: info }, _] = &events[..] else { panic!("{events:?}") };
    assert_eq!((info.images, info.step, info.steps), (48, 1, 6));
    while trainer.step < 6 {
        trainer.step(&data.train);
    }
    train(&mut user, u64::MAX);
    let there = pollster::block_on(trainer.checkpoint()).unwrap().to_bytes();
    assert_eq!(export(&mut user, Purpose::Keep).1, there);
    user.refused(resume(&run(&[("extra", "more.zip")]).0), ErrorScope::Training, "also learns from more.zip");
}

/// After a worker died for want of memory: a smaller batch, at the same place of the run.
#[test]
fn a_run_goes_on_with_a_smaller_batch() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 4);
    let (name, bytes) = export(&mut user, Purpose::Keep);
    let events = user.send(Command::Resume { name, bytes, batch: 8 });
    let [Event::RunReady { run }, _] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.batch, run.step, run.steps), (8, 8, 16));
    assert!(run.notes[0].starts_with("8 images a step in place of 16"), "{:?}", run.notes);
    // 128 MB hold 9 copies of 16 x 32 x 32 floats of some 227 images.
    assert_eq!(largest_batch(16 * 1024, 128 << 20), 227);
    assert_eq!(largest_batch(1 << 40, 1), 2);
}
