//! Writes native results of the built-in models to agreement.json in cargo's directory for test files, so that
//! `tests/browser/attack.test.mjs` can compare the page's results with them. Also writes runs for
//! `tests/browser/training.test.mjs` to resume.

use std::{cell::RefCell, fs, path::Path, rc::Rc};

use otjr::{
    data::synthetic,
    explore::{
        layers::LayerShift,
        probe::{Probe, ProbeResult},
    },
    platform::DeviceChoice,
    protocol::{AttackResult, Command, Event, Slot},
    session::Session,
    settings::Settings,
    train::{TrainConfig, Trainer},
};
use serde_json::json;

struct Worker {
    session: Session,
    events: Rc<RefCell<Vec<Event>>>,
}

impl Worker {
    fn new() -> Self {
        let events = Rc::<RefCell<Vec<Event>>>::default();
        let sink = events.clone();
        Self { session: Session::new(DeviceChoice::Cpu, move |event| sink.borrow_mut().push(event)), events }
    }

    fn send(&mut self, command: Command) -> Vec<Event> {
        self.session.current_job.set(command.job_id().unwrap_or_default());
        pollster::block_on(self.session.handle(command));
        self.events.take()
    }
}

/// Attacks, as URL parameters of the page. A step in L-infinity uses the gradient's sign. Where the gradient is within
/// rounding of 0, two correct programs may step in opposite directions, and after about 5 steps a probability may differ by
/// some percent. One or two such steps must agree to 1e-4. Steps in L2 depend on the gradient continuously but amplify
/// rounding: differences of up to 5e-4 were measured between the two builds, 5e-3 is allowed.
const ATTACKS: [&[(&str, &str)]; 4] = [
    &[("attack", "fgsm")],
    &[("attack", "pgd"), ("steps", "2")],
    &[("attack", "pgd"), ("norm", "l2"), ("epsilon", "128/255"), ("step", "32/255")],
    &[("attack", "pgd")],
];

fn attack(worker: &mut Worker, slot: Slot, settings: &[(&str, &str)]) -> AttackResult {
    let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    match worker.send(Command::Attack { id: 1, slot, settings, target: None }).pop() {
        Some(Event::AttackDone { stopped: false, result, .. }) => result,
        other => panic!("no result: {other:?}"),
    }
}

/// The shift of each layer by the last attack.
fn layers(worker: &mut Worker, slot: Slot) -> Vec<LayerShift> {
    match worker.send(Command::Explore { id: 2, slot, probe: Probe::Layers }).pop() {
        Some(Event::ProbeProgress { result: Ok(result), finished: true, .. }) => match *result {
            ProbeResult::Layers(shifts) => shifts,
            other => panic!("no layers: {other:?}"),
        },
        other => panic!("no layers: {other:?}"),
    }
}

#[test]
fn results_for_the_page_are_written() {
    let mut models = Vec::new();
    for (slot, model) in [(Slot::Robust, "otjr"), (Slot::Standard, "ce")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("public/models/{model}.safetensors"));
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let checksum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        let mut worker = Worker::new();
        worker.send(Command::OpenDevice);
        worker.send(Command::LoadModel { slot, name: model.into(), bytes });
        let mut samples = Vec::new();
        for sample in 0..3 {
            let events = worker.send(Command::LoadSample { index: sample });
            let Some(Event::Classified { probabilities: clean, .. }) = events.last() else { panic!("{events:?}") };
            let attacks = ATTACKS.map(|settings| {
                let AttackResult { probabilities, .. } = attack(&mut worker, slot, settings);
                let layers = layers(&mut worker, slot);
                let address: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
                json!({ "attack": address.join("&"), "clean": clean, "attacked": probabilities, "layers": layers })
            });
            samples.push(json!({ "sample": sample, "attacks": attacks }));
        }
        models.push(json!({ "model": model, "checksum": checksum, "samples": samples }));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agreement.json");
    fs::write(path, json!({ "models": models }).to_string()).expect("cargo's directory can be written");
}

/// Writes runs of 20 steps: the checkpoint after 5 steps, the losses, and the final checkpoint.
///
/// `rand_jac` is smooth except within rounding of a kink of ReLU, and must agree to 1e-4 throughout. In `otjr` a step of the
/// attack may go in either direction where the gradient is within rounding of 0. Two correct programs agree to 1e-7 until
/// this first happens, after a few steps, and to some thousandths afterwards.
#[test]
fn runs_for_the_page_to_resume_are_written() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for objective in ["rand_jac", "otjr"] {
        let write = |what: &str, bytes: &[u8]| {
            fs::write(directory.join(format!("handover-{objective}-{what}")), bytes)
                .expect("cargo's directory can be written")
        };
        let mut config = TrainConfig::demo();
        let settings =
            [("limit", "80"), ("limit-test", "20"), ("batch", "8"), ("epochs", "2"), ("rate", "0.02"), ("seed", "1")];
        for (key, value) in settings.into_iter().chain([("objective", objective)]) {
            config.set(key, value).expect("it is a setting");
        }
        let data = synthetic::default_splits([config.limit, config.limit_test]);
        let mut trainer = Trainer::new(&config, &data.train, &burn::tensor::Device::flex()).expect("it can be trained");
        let mut records = Vec::new();
        let mut train = |trainer: &mut Trainer, steps: u64| {
            while trainer.step < steps {
                trainer.step(&data.train);
            }
            records.extend(pollster::block_on(trainer.records(&data.train)).expect("it does not diverge"));
            pollster::block_on(trainer.checkpoint()).expect("it can be read back").to_bytes()
        };
        write("step-5.safetensors", &train(&mut trainer, 5));
        write("end.safetensors", &train(&mut trainer, 20));
        write("records.json", json!(records).to_string().as_bytes());
    }
}
