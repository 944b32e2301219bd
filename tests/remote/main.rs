//! A device that another process serves over the network: `cargo test --release --features remote --test remote`.

#![cfg(feature = "remote")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use otjr::{
    platform::{self, DeviceChoice},
    train::Record,
    verify::verify,
};

/// A process that serves its CPU until this value is dropped.
struct DeviceServer {
    process: Child,
    /// `ws://127.0.0.1:PORT`
    device: String,
}

impl DeviceServer {
    fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serve-device"));
        command.args(["--device", "cpu", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let device = line.split_once(" is served at ").and_then(|(_, rest)| rest.split_once(';')).unwrap().0.to_owned();
        Self { process, device }
    }
}

impl Drop for DeviceServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Runs `train` for a few steps. Returns its output and its losses.
fn train(folder: &Path, out: &str, options: &[&str]) -> (String, Vec<f32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(folder).args(["--limit", "24", "--batch", "8", "--epochs", "1", "--limit-test", "4"]);
    // An objective without an attack: gradient signs of an attack may differ where a gradient is within rounding of 0.
    command.args(["--objective", "rand_jac", "--baseline", "none", "--out", out]).args(options);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let log = fs::read_to_string(folder.join(out).join("rand_jac/log.jsonl")).unwrap_or_default();
    (text, log.lines().map(|line| serde_json::from_str::<Record>(line).unwrap().loss).collect())
}

/// Losses and gradients that the other process computes agree with PyTorch's.
#[test]
fn a_fixture_on_another_host() {
    let server = DeviceServer::new();
    let device: DeviceChoice = server.device.parse().unwrap();
    let device = pollster::block_on(platform::open(device)).unwrap().device;
    let bytes = include_bytes!("../fixtures/wrn10_1-c3-b3.safetensors");
    for check in pollster::block_on(verify(bytes, &device)).unwrap() {
        assert!(check.passed(), "{check:?}");
    }
}

/// Two processes that share each batch have the losses of one process with gradient accumulation.
#[test]
fn a_run_on_two_hosts() {
    let (server, folder) = (DeviceServer::new(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let (text, two) = train(folder, "two", &["--devices", &format!("cpu,{}", server.device)]);
    assert!(text.contains("the device at 127.0.0.1"), "{text}");
    let (_, one) = train(folder, "one", &["--device", "cpu", "--accumulate", "2"]);
    println!("{two:?} {one:?}");
    assert!(one.len() == 3, "{text}");
    assert!(two.len() == 3, "{text}");
    assert!(one.iter().zip(&two).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs()), "{one:?} {two:?}");
}

/// The loss of a host ends the run with an error, and the run can be resumed.
#[test]
fn a_host_that_is_gone() {
    let (mut server, folder) = (DeviceServer::new(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let devices = format!("cpu,{}", server.device);
    let log = folder.join("run/rand_jac/log.jsonl");
    let (text, _) = std::thread::scope(|scope| {
        let run = scope.spawn(|| train(folder, "run", &["--devices", &devices, "--epochs", "1000"]));
        while fs::read_to_string(&log).unwrap_or_default().is_empty() && !run.is_finished() {
            sleep(Duration::from_millis(20));
        }
        server.process.kill().unwrap();
        run.join().unwrap()
    });
    assert!(text.contains("one of the devices failed"), "{text}");
    assert!(text.contains("train --resume run"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// The error contains the address at which no device is served.
#[test]
fn no_device_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = train(folder.path(), "run", &["--devices", "cpu,ws://127.0.0.1:1"]);
    assert!(text.contains("no device is served at 127.0.0.1:1"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
