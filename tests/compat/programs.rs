//! Run directories of the programs: resumed, and reported again.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use otjr::{
    checkpoint::Checkpoint,
    settings::Settings,
    train::{Record, config_of},
};
use serde_json::Value;

use super::{assert_near, fixture, json, read};

/// Steps of the training runs here: 12 an epoch.
const STEPS: u64 = 24;

/// Copies a fixture directory, which a program is going to write into.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the temporary directory can be written");
    for entry in fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())) {
        let from = entry.expect("it can be listed").path();
        let to = to.join(from.file_name().expect("it has a name"));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("the temporary directory can be written");
        }
    }
}

/// Resumes the fixture run `name` with a program, in a copy of it beside the model that it attacks.
fn resumed(program: &str, name: &str) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().expect("there is a temporary directory");
    copy(&fixture(name), &folder.path().join("run"));
    fs::copy(fixture("train-finished/ce/model.safetensors"), folder.path().join("model.safetensors"))
        .expect("it is a fixture");
    let mut command = Command::new(program);
    command.current_dir(&folder).env("XDG_CACHE_HOME", folder.path()).env_remove("OTJR_DATA");
    let output = command.args(["--resume", "run"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{name} is not resumed: {text}");
    (folder, output)
}

fn checkpoint(path: &Path) -> Checkpoint {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Checkpoint::from_bytes(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn records(log: &[u8]) -> Vec<Record> {
    let text = String::from_utf8_lossy(log);
    text.lines().map(|line| serde_json::from_str(line).expect("it is a line of a log")).collect()
}

fn written(folder: &tempfile::TempDir, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join("run").join(name)).expect("it is written")).expect("it is JSON")
}

/// Without what depends on the machine: seconds, and the device.
fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !["seconds", "device"].contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), timeless(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(values) => values.iter().map(timeless).collect(),
        value => value.clone(),
    }
}

#[test]
fn an_interrupted_training_run_is_resumed() {
    let before = checkpoint(&fixture("train-interrupted/otjr/checkpoint.safetensors"));
    let config = config_of(&before).expect("it has settings");
    assert_eq!(
        ["model", "batch", "average"].map(|key| config.get(key).expect("a setting")),
        ["resnet-18-w1", "8", "0.9"]
    );
    let step: u64 = before.metadata["step"].parse().expect("a number");
    assert!((13..STEPS).contains(&step), "interrupted in the second epoch");
    assert!(before.arrays.keys().any(|name| name.starts_with("latest.")));

    let (folder, _) = resumed(env!("CARGO_BIN_EXE_train"), "train-interrupted");
    let run = folder.path().join("run/otjr");
    // Steps that were done are kept as they are; the others are those of a run that nobody interrupted.
    let (old, whole) = (read("train-interrupted/otjr/log.jsonl"), records(&read("train-interrupted.log.jsonl")));
    let new = fs::read(run.join("log.jsonl")).expect("there is a log");
    let found = records(&new);
    assert_eq!(found[..step as usize], records(&old)[..step as usize]);
    assert_eq!(found.iter().map(|record| record.step).collect::<Vec<_>>(), (1..=STEPS).collect::<Vec<_>>());
    for (found, whole) in found.iter().zip(&whole) {
        assert_near(found.loss.into(), whole.loss.into(), 0.02, &format!("the loss of step {}", found.step));
        assert!(found.distance.is_some());
        assert!(found.jacobian.is_some());
    }
    assert_eq!(checkpoint(&run.join("checkpoint.safetensors")).metadata["step"], STEPS.to_string());
    let epochs = fs::read_to_string(run.join("validation.jsonl")).expect("there is a log of the epochs");
    let old = String::from_utf8(read("train-interrupted/otjr/validation.jsonl")).expect("it is text");
    assert_eq!((old.lines().count(), epochs.lines().count()), (1, 2));
    assert_eq!(epochs.lines().next(), old.lines().next());
    let events = |begin: &str| run.join(format!("events.out.tfevents.{begin}")).exists();
    assert!(events("0000000000"), "TensorBoard shows both sessions");
    assert!(events(&format!("{step:010}")), "TensorBoard shows both sessions");
}

#[test]
fn a_finished_training_run_is_reported_again() {
    let (folder, _) = resumed(env!("CARGO_BIN_EXE_train"), "train-finished");
    let model = |path: &Path| fs::read(path.join("ce/model.safetensors")).expect("there is a model");
    let run = folder.path().join("run");
    assert!(model(&run) == model(&fixture("train-finished")), "the model has changed");
    let (found, recorded) = (written(&folder, "report.json"), json("train-finished.report.json"));
    let accuracy = |report: &Value| report[0]["accuracy"].clone();
    assert_eq!(accuracy(&found), accuracy(&recorded));
    assert_eq!(found[0]["objective"], "ce");
    // Its records are those of the log.
    let log = records(&fs::read(run.join("ce/log.jsonl")).expect("there is a log"));
    assert_eq!(log, records(&read("train-finished/ce/log.jsonl")));
    assert!(log.iter().all(|record| record.distance.is_none() && record.jacobian.is_none()));
}

#[test]
fn an_interrupted_evaluation_is_resumed() {
    let state = checkpoint(&fixture("evaluate-interrupted/apgd-ce-1.safetensors"));
    assert!(state.metadata["evaluation"].contains("\"finished\":false"));
    let (folder, _) = resumed(env!("CARGO_BIN_EXE_evaluate"), "evaluate-interrupted");
    assert_eq!(timeless(&written(&folder, "report.json")), timeless(&json("evaluate-interrupted.report.json")));
    // What was over before was not computed again.
    let tally = |path: &Path| fs::read(path.join("corruptions-1.json")).expect("there is a tally");
    assert_eq!(tally(&folder.path().join("run")), tally(&fixture("evaluate-interrupted")));
}

/// Of the attack that one image resists, or that fools the model.
#[test]
fn an_interrupted_attack_is_resumed() {
    let state = checkpoint(&fixture("attack-interrupted/adversarial-1-1.safetensors"));
    assert!(state.metadata["evaluation"].contains("\"finished\":false"));
    let (folder, _) = resumed(env!("CARGO_BIN_EXE_attack"), "attack-interrupted");
    let (found, recorded) = (written(&folder, "report.json"), json("attack-interrupted.report.json"));
    let result = |report: &Value| timeless(&report["models"][0]["results"][0]);
    let (found, recorded) = (result(&found), result(&recorded));
    assert_eq!([&found["clean"], &found["robust"]], [&recorded["clean"], &recorded["robust"]]);
    let attacks = |result: &Value| {
        let attacks = result["attacks"].as_array().expect("the attacks").clone();
        attacks.iter().map(|attack| (attack["name"].clone(), attack["accuracy"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(attacks(&found), attacks(&recorded));
    // Adversarial images that were found before are kept.
    let path = folder.path().join("run/adversarial-1-1.safetensors");
    let (old, new) = (&state.arrays, &checkpoint(&path).arrays);
    let values = old["felled_by"].values.iter().zip(&new["felled_by"].values).enumerate();
    for (i, (&before, &after)) in values.filter(|(_, (before, _))| **before >= 0.0) {
        let image = |arrays: &otjr::model::parameter::Arrays| arrays["adversarial"].values[i * 3072..][..3072].to_vec();
        assert_eq!((before, image(old)), (after, image(new)));
    }
}

#[test]
fn a_finished_attack_is_reported_again() {
    let (folder, _) = resumed(env!("CARGO_BIN_EXE_attack"), "attack-finished");
    // Seconds are stored with the attack, too.
    assert_eq!(written(&folder, "report.json")["models"], json("attack-finished.report.json")["models"]);
}
