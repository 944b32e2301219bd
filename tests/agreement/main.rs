//! What the native program computes with the page's own models, written down for `tests/browser/attack.test.mjs`, which
//! asks the page for the same: the file is agreement.json in cargo's directory for tests' files. Beside it lie runs for
//! `tests/browser/train.test.mjs` to go on with.

use std::{cell::RefCell, fs, path::Path};

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

fn send(session: &mut Session, command: Command) -> Vec<Event> {
    session.latest.set(command.attack().unwrap_or_default());
    let events = RefCell::new(Vec::new());
    pollster::block_on(session.handle(DeviceChoice::Cpu, command, &|event| events.borrow_mut().push(event)));
    events.into_inner()
}

/// Attacks, as the page's address says them. A step in L-infinity takes the gradient's sign: where it is within rounding
/// of 0, two correct programs may step apart, and after some 5 steps a probability may differ by per cents. One or two such
/// steps must agree to 1e-4. Many in L2 depend on the gradient continuously but amplify rounding: up to 5e-4 were seen
/// between the two builds, 5e-3 are allowed.
const ATTACKS: [&[(&str, &str)]; 4] = [
    &[("attack", "fgsm")],
    &[("attack", "pgd"), ("steps", "2")],
    &[("attack", "pgd"), ("norm", "l2"), ("epsilon", "128/255"), ("step", "32/255")],
    &[("attack", "pgd")],
];

fn attack(session: &mut Session, slot: Slot, settings: &[(&str, &str)]) -> AttackResult {
    let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    match send(session, Command::Attack { id: 1, slot, settings, target: None }).pop() {
        Some(Event::AttackDone { stopped: false, result, .. }) => result,
        other => panic!("no result: {other:?}"),
    }
}

/// How far the last attack has moved each layer.
fn layers(session: &mut Session, slot: Slot) -> Vec<LayerShift> {
    match send(session, Command::Explore { id: 2, slot, probe: Probe::Layers }).pop() {
        Some(Event::Explored { answer: Ok(answer), over: true, .. }) => match *answer {
            ProbeResult::Layers(shifts) => shifts,
            other => panic!("no layers: {other:?}"),
        },
        other => panic!("no layers: {other:?}"),
    }
}

#[test]
fn what_the_page_shall_compute_is_written_down() {
    let mut models = Vec::new();
    for (slot, model) in [(Slot::Robust, "otjr"), (Slot::Standard, "ce")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("public/models/{model}.safetensors"));
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let checksum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        let mut session = Session::default();
        send(&mut session, Command::Open);
        send(&mut session, Command::LoadModel { slot, name: model.into(), bytes });
        let mut samples = Vec::new();
        for sample in 0..3 {
            let events = send(&mut session, Command::LoadSample { index: sample });
            let Some(Event::Classified { probabilities: clean, .. }) = events.last() else { panic!("{events:?}") };
            let attacks = ATTACKS.map(|settings| {
                let AttackResult { probabilities, .. } = attack(&mut session, slot, settings);
                let layers = layers(&mut session, slot);
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

/// Runs of 20 steps: as they are after 5, their losses, and as they are in the end.
///
/// `rand_jac` is smooth where nothing is within rounding of a kink, and must agree to 1e-4 throughout. In `otjr` a step of the
/// attack goes either way where the gradient is within rounding of 0: two correct programs agree to 1e-7 until that happens
/// first, within some steps, and to per mille afterwards.
#[test]
fn runs_that_the_page_shall_go_on_with_are_written_down() {
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
