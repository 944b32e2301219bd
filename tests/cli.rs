//! The programs as their users run them: interrupted, resumed, given bad input.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use otjr::checkpoint::Checkpoint;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wrn10_1-c3-b3.safetensors");

fn train(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(folder).args(["--device", "cpu"]);
    command
}

/// A run of 24 steps, seconds long.
fn small(folder: &Path, out: &str) -> Command {
    let mut command = train(folder);
    command.args(["--limit", "96", "--batch", "8", "--epochs", "2", "--limit-test", "20", "--train-steps", "1"]);
    command.args(["--save-every", "0", "--baseline", "none", "--out", out]);
    command
}

fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    (output, text)
}

fn refused(command: &mut Command, because: &str) {
    let (output, text) = output(command);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(because), "'{because}' is not in: {text}");
}

fn checkpoint(folder: &Path, out: &str) -> Checkpoint {
    let path = folder.join(out).join("otjr/checkpoint.safetensors");
    Checkpoint::from_bytes(&fs::read(path).unwrap()).unwrap()
}

/// Killed in the middle, twice, then resumed: weights, velocities and log equal those of a run left alone.
#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(small(folder, "whole").status().unwrap().success());

    for (sitting, until) in [5, 14].into_iter().enumerate() {
        let mut command = if sitting == 0 { small(folder, "parts") } else { train(folder) };
        if sitting > 0 {
            command.args(["--resume", "parts", "--save-every", "0"]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        let steps = || fs::read_to_string(folder.join("parts/otjr/log.jsonl")).map_or(0, |log| log.lines().count());
        while steps() < until && begin.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        assert!((until..24).contains(&steps()), "killed at step {}, not in the middle", steps());
    }
    let (finished, text) = output(train(folder).args(["--resume", "parts"]));
    assert!(finished.status.success(), "{text}");
    let (whole, parts) = (checkpoint(folder, "whole"), checkpoint(folder, "parts"));
    assert_eq!(whole.metadata["step"], "24");
    assert_eq!(whole, parts);
    let log = |out: &str| fs::read_to_string(folder.join(out).join("otjr/log.jsonl")).unwrap();
    assert_eq!(log("whole"), log("parts"));
    assert_eq!(log("whole").lines().count(), 24);
}

/// The program says what it wrote, and that is there: table, curves, a model that the page can open.
#[test]
fn a_run_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, text) = output(small(folder, "run").args(["--epochs", "1", "--baseline", "ce"]));
    for file in
        ["run/report.md", "run/report.json", "run/curves.svg", "run/otjr/model.safetensors", "run/ce/model.safetensors"]
    {
        assert!(folder.join(file).exists(), "{file}: {text}");
    }
    assert!(text.contains("| otjr |") && text.contains("| ce |") && text.contains("run/report.md"), "{text}");
    assert!(fs::read_to_string(folder.join("run/curves.svg")).unwrap().starts_with("<svg"));
    let model = Checkpoint::from_bytes(&fs::read(folder.join("run/otjr/model.safetensors")).unwrap()).unwrap();
    assert!(model.arrays.keys().all(|name| name.starts_with("model.")));
    refused(&mut small(folder, "run"), "holds a run");
    refused(train(folder).args(["--resume", "run", "--epochs", "9"]), "leave out --epochs");
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("file"), "").unwrap();
    refused(train(folder).args(["--train-epsilon", "-1"]), "--train-epsilon = '-1': expected a number between 0 and 1");
    refused(train(folder).args(["--train-epsilon", "abc"]), "such as 0.03 or 8/255");
    refused(train(folder).args(["--model", "vgg"]), "wrn-28-10");
    refused(train(folder).args(["--objective", "sgd"]), "possible values");
    refused(train(folder).args(["--dataset", "cifar10"]), "--data-dir");
    refused(train(folder).args(["--dataset", "cifar10", "--data-dir", "nowhere"]), "nowhere");
    refused(train(folder).args(["--device", "tpu"]), "expected auto, cpu, gpu or gpu:N");
    refused(train(folder).args(["--out", "file/run"]), "could not create the directory file/run");
    refused(train(folder).args(["--resume", "nowhere"]), "nowhere is not a run");
}

/// A damaged checkpoint is not overwritten by a fresh start.
#[test]
fn a_truncated_checkpoint_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(small(folder, "run").args(["--epochs", "1"]).status().unwrap().success());
    let path = folder.join("run/otjr/checkpoint.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(train(folder).args(["--resume", "run"]), "not a complete safetensors file");
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len() / 2);
}

#[test]
fn verify_passes_and_fails() {
    let verify = |arguments: &[&str]| output(Command::new(env!("CARGO_BIN_EXE_verify")).args(arguments));
    let (run, text) = verify(&[FIXTURE, "--device", "cpu"]);
    assert!(run.status.success() && text.contains("23 of 23 groups"), "{text}");
    let (run, text) = verify(&[FIXTURE, "--json", "--float", "f32"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(run.status.success());
    assert_eq!(json["fixtures"][0]["checks"].as_array().unwrap().len(), 23);

    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.safetensors");
    let mut fixture = Checkpoint::from_bytes(&fs::read(FIXTURE).unwrap()).unwrap();
    fixture.arrays.get_mut("jac.sw").unwrap().values[0] *= 1.002;
    fs::write(&wrong, fixture.to_bytes()).unwrap();
    let (run, text) = verify(&[wrong.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(1), "{text}");
    assert!(text.contains("jac.sw  FAILED"), "{text}");
    let (run, text) = verify(&["nowhere.safetensors"]);
    assert!(run.status.code() == Some(2) && text.contains("nowhere.safetensors"), "{text}");
}
