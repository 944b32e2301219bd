//! A run that is killed repeatedly ends with the same files as an uninterrupted run.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Instant,
};

use otjr::{
    checkpoint::Checkpoint,
    random::{self, RngExt, StreamId},
};

const KILLS: u64 = 20;
/// Steps of the run of [`command`].
const STEPS: u64 = 60;
const FILES: [&str; 4] = ["model.safetensors", "checkpoint.safetensors", "log.jsonl", "validation.jsonl"];

fn command(folder: &Path, out: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(folder).args(["--device", "cpu", "--resume", "auto", "--out", out, "--save-every", "0"]);
    command.args([
        "--limit",
        "112",
        "--validation",
        "16",
        "--batch",
        "8",
        "--epochs",
        "5",
        "--limit-test",
        "20",
        "--train-steps",
        "1",
    ]);
    command.args(["--average", "0.9", "--baseline", "none"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// SIGKILL arrives at any time, SIGTERM at any time after the first line of output, when the handlers are installed.
#[test]
fn a_run_killed_twenty_times_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = |out: &str, file: &str| folder.join(out).join("otjr").join(file);
    let files = |out: &str| FILES.map(|file| fs::read(path(out, file)).unwrap());
    let begin = Instant::now();
    assert!(command(folder, "whole").output().unwrap().status.success());
    let (longest, whole) = (begin.elapsed() / 6, files("whole"));

    let mut halfway = Vec::new();
    for number in 0..KILLS {
        let kill = number % 2 == 0;
        let mut child = command(folder, "parts").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if !kill {
            lines.next().expect("the first line is printed").unwrap();
        }
        let moment = longest.mul_f64(random::stream(0, StreamId::Order, number).random());
        sleep(moment);
        let signal = if kill { "-KILL" } else { "-TERM" };
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        // The output must be read, or the program ends because of the closed pipe.
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let status = child.wait().unwrap();
        let as_told = if kill { status.signal() == Some(9) } else { status.code() == Some(0) };
        let over = status.success() && said.last().is_some_and(|line| line.starts_with("Written"));
        assert!(as_told || over, "{signal} after {moment:?}: {status}, {said:?}");
        let checkpoint = fs::read(path("parts", "checkpoint.safetensors")).unwrap_or_default();
        let step = Checkpoint::from_bytes(&checkpoint).map_or(0, |file| file.metadata["step"].parse().unwrap());
        if (1..STEPS).contains(&step) {
            halfway = checkpoint;
        }
    }
    assert!(!halfway.is_empty(), "the run was never killed during training");
    // A log that is far ahead of the checkpoint does not matter.
    fs::write(path("whole", "checkpoint.safetensors"), halfway).unwrap();
    for out in ["parts", "whole"] {
        assert!(command(folder, out).output().unwrap().status.success());
        for ((file, expected), found) in FILES.into_iter().zip(&whole).zip(files(out)) {
            assert!(*expected == found, "{out}: {file} differs");
        }
        assert_eq!(steps(&folder.join(out).join("otjr")), (1..=STEPS).chain([STEPS]).collect::<Vec<_>>(), "{out}");
    }
}

/// Returns the steps in TensorBoard's files in reading order. The final accuracies are a second event of the last step.
fn steps(folder: &Path) -> Vec<u64> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let events = files.filter(|path| path.display().to_string().contains("tfevents"));
    let events: BTreeMap<_, _> = events.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let mut steps = Vec::new();
    for mut bytes in events.values().map(Vec::as_slice) {
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let (event, rest) = rest[4..].split_at(u64::from_le_bytes(*length) as usize);
            bytes = &rest[4..];
            // A double under key 0x09, the step (below 128) under 0x10, then the version under 0x1a or values under 0x2a.
            assert_eq!((event[0], event[9]), (0x09, 0x10));
            if event[11] == 0x2a {
                steps.push(u64::from(event[10]));
            }
        }
    }
    steps
}
