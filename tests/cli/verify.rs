//! The program `verify`.

use std::{fs, process::Command};

use otjr::checkpoint::Checkpoint;

use super::{FIXTURE, output};

#[test]
fn verify_passes_and_fails() {
    let verify = |arguments: &[&str]| output(Command::new(env!("CARGO_BIN_EXE_verify")).args(arguments));
    let (run, text) = verify(&[FIXTURE, "--device", "cpu"]);
    assert!(run.status.success(), "{text}");
    assert!(text.contains("23 of 23 groups"), "{text}");
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
    assert!(run.status.code() == Some(2), "{text}");
    assert!(text.contains("nowhere.safetensors"), "{text}");
}
