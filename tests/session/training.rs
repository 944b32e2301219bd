//! Training in the worker: starting, interrupting, moving and changing runs, compared with native runs.

use std::io::{Cursor, Write};

use otjr::{
    checkpoint::Checkpoint,
    data::{Splits, image, synthetic},
    protocol::{
        Command, ErrorScope, Event, ExportPurpose, InitFrom, RunInfo, RunSnapshot, SettingPairs, Slot, UploadedDataset,
    },
    session::{CurrentJob, Files, Queue, training::largest_batch},
    settings::Settings,
    train::{Record, TrainConfig, Trainer, config_of, own_of},
};

use super::{FIXTURE, User};

/// Settings of a short run: 2 epochs of 4 steps.
fn settings(more: &[(&str, &str)]) -> SettingPairs {
    let short = [("limit", "64"), ("limit-test", "20"), ("batch", "16"), ("epochs", "2"), ("train-steps", "1")];
    short.iter().chain(more).map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn begin(user: &mut User, more: &[(&str, &str)]) -> RunInfo {
    let events = user.send(Command::PrepareRun { init_from: InitFrom::Scratch, settings: settings(more) });
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    *run.clone()
}

/// Trains for this number of steps. Returns the records and the snapshots.
fn train(user: &mut User, steps: u64) -> (Vec<Record>, Vec<RunSnapshot>) {
    let events = user.send(Command::Train { id: 3, steps });
    assert!(matches!(events.last(), Some(Event::TrainProgress { id: 3, finished: true, .. })), "{events:?}");
    let (mut all, mut snapshots) = (Vec::new(), Vec::new());
    for event in events {
        let Event::TrainProgress { records, snapshot, .. } = event else { panic!("{event:?}") };
        all.extend(records);
        snapshots.extend(snapshot.map(|snapshot| *snapshot));
    }
    (all, snapshots)
}

fn export(user: &mut User, purpose: ExportPurpose) -> (String, Vec<u8>) {
    let events = user.send(Command::ExportRun { number: 5, purpose });
    let [Event::RunExported { number: 5, name, bytes, .. }] = &events[..] else { panic!("{events:?}") };
    (name.clone(), bytes.clone())
}

fn natively(settings: &SettingPairs) -> (Trainer, Splits) {
    let mut config = TrainConfig::demo();
    config.apply(settings).unwrap();
    let data = synthetic::default_splits([config.limit, config.limit_test]);
    let device = burn::tensor::Device::flex();
    (Trainer::new(&config, &data.train, &device).unwrap(), data)
}

/// A run that is interrupted, with an attack in between, and moved to another worker and to the native code ends with the
/// same bytes as without interruption.
#[test]
fn an_interrupted_or_moved_run_ends_with_the_same_bytes() {
    let (mut native, data) = natively(&settings(&[]));
    while native.step < native.steps(&data.train) {
        native.step(&data.train);
    }
    let expected = pollster::block_on(native.checkpoint()).unwrap().to_bytes();

    let mut user = User::with_model_and_sample();
    let run = begin(&mut user, &[]);
    assert_eq!((run.step, run.steps, run.batch, run.images, run.held_out), (0, 8, 16, 64, 20));
    let (records, snapshots) = train(&mut user, 3);
    assert_eq!((records.len(), records[2].step), (3, 3));
    assert_eq!(snapshots.len(), 1, "a snapshot before the first step");
    assert!(snapshots[0].batch.is_none());
    assert!(snapshots[0].tracked.is_some());
    user.attack(&[("steps", "2")], None);
    train(&mut user, 1);
    let (name, copy) = export(&mut user, ExportPurpose::SaveRun);
    assert_eq!(name, "otjr-step-4-run.safetensors");

    let mut other = User::new();
    let events = other.send(Command::ResumeRun { name, bytes: copy.clone(), batch: 0 });
    let [Event::RunReady { run }, Event::TrainingData { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.step, run.steps), (4, 8));
    let (records, snapshots) = train(&mut other, u64::MAX);
    assert_eq!((records.len(), snapshots.len()), (4, 1), "one snapshot at the end");
    let preview = snapshots[0].batch.as_ref().unwrap();
    assert_eq!((preview.images.len(), preview.labels.len(), snapshots[0].step), (8 * 3072, 8, 8));
    let mut pixels = preview.images.iter().zip(&preview.adversarial_images);
    assert!(pixels.all(|(a, b)| a.abs_diff(*b) <= 8), "within the training radius");
    assert_eq!(preview.transport.as_ref().unwrap().arrows.len(), 16);
    assert_eq!(export(&mut other, ExportPurpose::AutoSave).1, expected);

    let mut natively =
        Trainer::resume(&Checkpoint::from_bytes(&copy).unwrap(), &data.train, &burn::tensor::Device::flex()).unwrap();
    while natively.step < natively.steps(&data.train) {
        natively.step(&data.train);
    }
    assert_eq!(pollster::block_on(natively.checkpoint()).unwrap().to_bytes(), expected);
}

#[test]
fn a_later_command_interrupts_training() {
    let mut user = User::with_cancellation(|event| matches!(event, Event::TrainProgress { .. }));
    begin(&mut user, &[("epochs", "1000")]);
    let last = user.send(Command::Train { id: 9, steps: u64::MAX }).pop();
    assert!(matches!(last, Some(Event::TrainProgress { id: 9, step: 0..100, finished: true, .. })), "{last:?}");
}

#[test]
fn some_settings_change_during_a_run() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 1);
    let tune = |key: &str, value: &str| Command::UpdateSettings { settings: vec![(key.into(), value.into())] };
    let events = user.send(tune("rate", "0.01"));
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    assert!(run.settings.contains(&("rate".into(), "0.01".into())));
    assert!(run.step == 1);
    let (records, _) = train(&mut user, 1);
    assert!(records[0].rate <= 0.01);
    user.fails(tune("batch", "8"), ErrorScope::Training, "cannot change during a run");
    user.fails(tune("rate", "-1"), ErrorScope::Training, "between 0 and 100");
    // The checkpoint contains the change.
    let (_, copy) = export(&mut user, ExportPurpose::AutoSave);
    assert_eq!(config_of(&Checkpoint::from_bytes(&copy).unwrap()).unwrap().rate, 0.01);
}

/// A run whose epochs are set below those already done ends with a last snapshot.
#[test]
fn fewer_epochs_end_a_run() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 6);
    let events = user.send(Command::UpdateSettings { settings: vec![("epochs".into(), "1".into())] });
    assert!(matches!(&events[..], [Event::RunReady { run }] if run.steps == 4), "{events:?}");
    let (records, snapshots) = train(&mut user, u64::MAX);
    assert_eq!((records.len(), snapshots.iter().map(|snapshot| snapshot.step).collect::<Vec<_>>()), (0, vec![6]));
}

/// A deferred command interrupts training, once it is next, but no other job. All other commands stop the job at once.
#[test]
fn deferred_commands_wait() {
    let current_job = CurrentJob::default();
    let mut queue = Queue::new(current_job.clone());
    let deferred = || Command::UpdateSettings { settings: SettingPairs::new() };
    let attack = |id| Command::Attack { id, slot: Slot::Robust, settings: SettingPairs::new(), target: None };
    queue.push(attack(1), None);
    assert!(queue.pop().is_some());
    queue.push(deferred(), None);
    queue.push(Command::ExportRun { number: 5, purpose: ExportPurpose::AutoSave }, None);
    assert_eq!(current_job.get(), 1, "the attack continues");
    queue.push(Command::Train { id: 2, steps: 9 }, None);
    queue.push(deferred(), None);
    queue.pop();
    queue.pop();
    assert!(current_job.get() == 2);
    assert!(queue.pop().is_some());
    assert_eq!(current_job.get(), 0, "waiting commands interrupt training");
    queue.pop();
    queue.push(Command::Train { id: 3, steps: 9 }, None);
    queue.pop();
    assert_eq!(current_job.get(), 3);
    queue.push(attack(4), None);
    queue.push(deferred(), None);
    assert_eq!(current_job.get(), 4, "a waiting attack is not stopped");
    queue.push(Command::ExportRun { number: 5, purpose: ExportPurpose::LoadModel }, None);
    assert_eq!(current_job.get(), 0, "a model to load is exported at once");
}

/// Fine-tuning does not change the loaded model.
#[test]
fn a_loaded_model_is_fine_tuned() {
    let mut user = User::new();
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    user.send(Command::LoadSample { index: 3 });
    let before = user.attack(&[("steps", "3")], None);
    let more = settings(&[("rate", "0.01"), ("model", "wrn-16-1")]);
    let events = user.send(Command::PrepareRun { init_from: InitFrom::Model(Slot::Robust), settings: more });
    let [Event::RunReady { run }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(run.architecture, "wrn-10-1", "the architecture of the loaded model");
    let (_, snapshots) = train(&mut user, 2);
    assert!(snapshots[0].clean > 0.8, "{snapshots:?}");
    assert!(snapshots[0].robust > 0.6, "{snapshots:?}");
    assert_eq!(user.attack(&[("steps", "3")], None), before);
    // The trained model can be exported, loaded and attacked.
    let (name, bytes) = export(&mut user, ExportPurpose::LoadModel);
    assert_eq!(name, "otjr-step-2-model.safetensors");
    let events = user.send(Command::LoadModel { slot: Slot::Custom, name, bytes: bytes.clone() });
    assert!(
        matches!(&events[..], [Event::ModelLoaded { .. }, Event::Classified { slot: Slot::Custom, .. }]),
        "{events:?}"
    );
    // In the slot for runs it does not classify the current image.
    let events = user.send(Command::LoadModel { slot: Slot::Run, name: "run".into(), bytes });
    assert!(matches!(&events[..], [Event::ModelLoaded { .. }]), "{events:?}");
    let settings = vec![("attack".to_owned(), "fgsm".to_owned())];
    let events = user.send(Command::Evaluate { id: 8, slot: Slot::Run, settings, images: 20 });
    assert!(matches!(events.last(), Some(Event::EvaluationProgress { finished: true, .. })), "{events:?}");
    assert!(matches!(
        &user.send(Command::LoadSample { index: 4 })[..],
        [_, Event::Classified { .. }, Event::Classified { .. }]
    ));
}

/// A labeled image of a new class is training data, is part of the checkpoint, and the native code reads it from there.
#[test]
fn labeled_images_are_part_of_the_run() {
    let mut user = User::with_model_and_sample();
    let label = |class: &str| Command::AddLabeledImage { class: class.into(), pixels: vec![200; 3072] };
    user.fails(label("  "), ErrorScope::Data, "a name");
    let events = user.send(label("teapot"));
    let [Event::TrainingData { data }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((data.classes.len(), &data.labeled[..]), (11, &[("teapot".to_owned(), 1)][..]));
    let run = begin(&mut user, &[]);
    assert_eq!((run.classes.len(), run.classes[10].as_str()), (11, "teapot"));
    assert_eq!(run.images, 64 + 6, "as many as the other classes have on average");
    train(&mut user, 2);
    let (name, copy) = export(&mut user, ExportPurpose::AutoSave);
    let checkpoint = Checkpoint::from_bytes(&copy).unwrap();
    assert_eq!(own_of(&checkpoint).unwrap().len(), 1);
    let mut other = User::new();
    let events = other.send(Command::ResumeRun { name, bytes: copy, batch: 0 });
    let [Event::RunReady { run }, Event::TrainingData { data }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.images, run.step, data.labeled.len()), (70, 2, 1));
    train(&mut user, u64::MAX);
    train(&mut other, u64::MAX);
    assert_eq!(export(&mut user, ExportPurpose::AutoSave).1, export(&mut other, ExportPurpose::AutoSave).1);
    // The evaluation uses the ten classes of the built-in data set.
    let (name, bytes) = export(&mut user, ExportPurpose::AutoSave);
    user.send(Command::LoadModel { slot: Slot::Run, name, bytes });
    let fgsm = vec![("attack".to_owned(), "fgsm".to_owned())];
    let events = user.send(Command::Evaluate { id: 8, slot: Slot::Run, settings: fgsm, images: 20 });
    assert!(matches!(events.last(), Some(Event::EvaluationProgress { finished: true, .. })), "{events:?}");
    // A model with the first ten classes is fine-tuned on eleven.
    let bytes = include_bytes!("../../public/models/otjr.safetensors").to_vec();
    user.send(Command::LoadModel { slot: Slot::Robust, name: "otjr".into(), bytes });
    user.send(Command::PrepareRun { init_from: InitFrom::Model(Slot::Robust), settings: settings(&[]) });
    let (_, snapshots) = train(&mut user, 1);
    assert!(snapshots[0].clean > 0.8, "accuracy on the old classes is lost: {snapshots:?}");
    user.send(Command::ClearLabeledImages);
    assert_eq!(begin(&mut user, &[]).classes.len(), 10);
}

/// A zip file of class folders is a data set. An invalid file fails and leaves the last data set.
#[test]
fn a_zip_of_class_folders_is_a_data_set() {
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
        user.session.files = Some(Files::Archive(Box::new(Cursor::new(bytes))));
        user.send(Command::LoadDataset { name: "set.zip".into() })
    };
    let events = load(&mut user, zip);
    let [Event::TrainingData { data }] = &events[..] else { panic!("{events:?}") };
    let uploaded = UploadedDataset { name: "set.zip".into(), kind: "folder".into(), train_images: 36, test_images: 4 };
    assert_eq!(data.uploaded, Some(uploaded));
    assert_eq!(data.classes, ["dark", "light"]);
    let run = begin(&mut user, &[("dataset", "folder"), ("limit", "0"), ("objective", "pgd")]);
    assert_eq!((run.images, run.steps, run.classes.len()), (36, 4, 2));
    let (records, _) = train(&mut user, u64::MAX);
    assert_eq!(records.len(), 4);
    let events = load(&mut user, b"hello".to_vec());
    assert!(matches!(&events[..], [Event::Failed { scope: ErrorScope::Data, .. }]), "{events:?}");
    begin(&mut user, &[("dataset", "folder")]);
    let other = Command::PrepareRun { init_from: InitFrom::Scratch, settings: settings(&[("dataset", "cifar10")]) };
    user.fails(other, ErrorScope::Training, "this run trains on cifar10: open its archive");
}

#[test]
fn invalid_training_commands_fail_and_the_run_stays() {
    let mut user = User::with_model_and_sample();
    user.fails(Command::Train { id: 1, steps: 1 }, ErrorScope::Training, "start a run first");
    user.fails(
        Command::ExportRun { number: 1, purpose: ExportPurpose::AutoSave },
        ErrorScope::Export,
        "start a run first",
    );
    let from = |slot| Command::PrepareRun { init_from: InitFrom::Model(slot), settings: settings(&[]) };
    user.fails(from(Slot::Standard), ErrorScope::Training, "not loaded yet");
    begin(&mut user, &[]);
    train(&mut user, 2);
    let (_, copy) = export(&mut user, ExportPurpose::AutoSave);
    let resume = |bytes: &[u8]| Command::ResumeRun { name: "r".into(), bytes: bytes.to_vec(), batch: 0 };
    user.fails(resume(&copy[..copy.len() / 2]), ErrorScope::Training, "not a complete safetensors file");
    user.fails(resume(FIXTURE), ErrorScope::Training, "the file is a model, not a run");
    let (_, model) = export(&mut user, ExportPurpose::SaveModel);
    user.fails(resume(&model), ErrorScope::Training, "the file is a model, not a run");
    let (records, _) = train(&mut user, 1);
    assert_eq!(records[0].step, 3, "the run continues");
    // The loss diverges at this rate.
    begin(&mut user, &[("rate", "100"), ("schedule", "cosine"), ("epochs", "50")]);
    let events = user.send(Command::Train { id: 3, steps: u64::MAX });
    let last = events.last();
    assert!(
        matches!(last, Some(Event::Failed { scope: ErrorScope::Diverged, message: text }) if text.contains("lower the rate")),
        "{last:?}"
    );
    user.fails(
        Command::ExportRun { number: 1, purpose: ExportPurpose::AutoSave },
        ErrorScope::Export,
        "lower the rate",
    );
}

/// A native run with validation images trains on the same images here. One with an extra data set cannot be resumed.
#[test]
fn a_native_run_uses_the_same_images() {
    let run = |more: &[(&str, &str)]| {
        let (trainer, mut data) = natively(&settings(more));
        data.train.split_off_stratified(trainer.config.validation);
        let mut trainer = Trainer::new(&trainer.config, &data.train, &burn::tensor::Device::flex()).unwrap();
        trainer.step(&data.train);
        (trainer, data)
    };
    let resume = |trainer: &Trainer| {
        let bytes = pollster::block_on(trainer.checkpoint()).unwrap().to_bytes();
        Command::ResumeRun { name: "r".into(), bytes, batch: 0 }
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
    assert_eq!(export(&mut user, ExportPurpose::AutoSave).1, there);
    user.fails(resume(&run(&[("extra", "more.zip")]).0), ErrorScope::Training, "also trains on more.zip");
}

/// After a worker ran out of memory the run is resumed with a smaller batch at the same place.
#[test]
fn a_run_is_resumed_with_a_smaller_batch() {
    let mut user = User::new();
    begin(&mut user, &[]);
    train(&mut user, 4);
    let (name, bytes) = export(&mut user, ExportPurpose::AutoSave);
    let events = user.send(Command::ResumeRun { name, bytes, batch: 8 });
    let [Event::RunReady { run }, _] = &events[..] else { panic!("{events:?}") };
    assert_eq!((run.batch, run.step, run.steps), (8, 8, 16));
    assert!(run.notes[0].starts_with("The batch size is 8 instead of 16"), "{:?}", run.notes);
    // 128 MB hold 9 copies of 16 x 32 x 32 floats of some 227 images.
    assert_eq!(largest_batch(16 * 1024, 128 << 20), 227);
    assert_eq!(largest_batch(1 << 40, 1), 2);
}
