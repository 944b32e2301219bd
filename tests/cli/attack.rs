//! The program `attack`: reports, killed and resumed runs, bad input.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use otjr::checkpoint::Checkpoint;

use super::{CE, FIXTURE, OTJR, json, output, refused};

fn attack(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attack"));
    command.current_dir(folder).args(["--device", "cpu"]);
    command
}

/// Two models, two radii and three attacks produce a table, JSON, a chart, and adversarial images that agree with the numbers.
#[test]
fn attack_writes_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (run, text) = output(attack(folder).args([
        "--model",
        OTJR,
        CE,
        "--attack",
        "fgsm,apgd-ce,square",
        "--epsilon",
        "2/255,8/255",
        "--limit",
        "20",
        "--steps",
        "5",
        "--queries",
        "20",
        "--out",
        "run",
        "--json",
        "out.json",
    ]));
    assert!(run.status.success(), "{text}");
    for part in
        ["clean", "fgsm", "apgd-ce", "square", "robust", "class", "disc", "forward passes", "Written: run/report.md"]
    {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    let report = json(&folder.join("out.json"));
    let models = report["models"].as_array().unwrap();
    assert_eq!((models.len(), models[0]["results"].as_array().unwrap().len()), (2, 2));
    let robust = |model: usize, radius: usize| models[model]["results"][radius]["robust"].as_f64().unwrap();
    assert!(robust(0, 1) > robust(1, 1) + 0.3, "{text}");
    assert!(robust(0, 0) >= robust(0, 1));
    assert!(robust(1, 0) >= robust(1, 1));
    let png = fs::read(folder.join("run/accuracy.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));

    let saved = Checkpoint::from_bytes(&fs::read(folder.join("run/adversarial-2-2.safetensors")).unwrap()).unwrap();
    let fooled_by = &saved.arrays["felled_by"].values;
    let robust_images = fooled_by.iter().filter(|v| **v == -1.0).count();
    assert_eq!(robust_images as f64 / 20.0, robust(1, 1));
    for (i, by) in fooled_by.iter().enumerate() {
        let wrong = saved.arrays["predictions"].values[i] != saved.arrays["labels"].values[i];
        assert_eq!(wrong, *by != -1.0);
    }
}

/// Reports distinguish the same model given twice, and models with equal names.
#[test]
fn models_get_unique_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("other")).unwrap();
    fs::copy(CE, folder.join("other/otjr.safetensors")).unwrap();
    let (run, text) = output(attack(folder).args([
        "--model",
        OTJR,
        OTJR,
        "other/otjr.safetensors",
        CE,
        "--attack",
        "fgsm",
        "--limit",
        "4",
        "--json",
        "out.json",
    ]));
    assert!(run.status.success(), "{text}");
    let models = json(&folder.join("out.json"))["models"].as_array().unwrap().clone();
    let names: Vec<&str> = models.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, [OTJR, &format!("{OTJR} (2)"), "other/otjr.safetensors", "ce"]);
    assert!(models.iter().all(|m| m["results"].as_array().unwrap().len() == 1), "{models:?}");
}

/// A run that is killed and resumed produces the same adversarial images as an uninterrupted one.
#[test]
fn a_killed_attack_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let begin = |out: &str| {
        let mut command = attack(folder);
        command.args(["--model", OTJR, "--attack", "apgd-ce,square", "--limit", "24", "--batch", "4", "--steps", "30"]);
        command.args(["--queries", "60", "--epsilon", "12/255", "--save-every", "0", "--out", out]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(begin("whole").status().unwrap().success());
    let mut child = begin("parts").spawn().unwrap();
    let file = folder.join("parts/adversarial-1-1.safetensors");
    let since = Instant::now();
    while !file.exists() && since.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert!(!folder.join("parts/report.json").exists(), "the run ended before it was killed");
    let resume = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attack"));
        command.current_dir(folder).args(["--resume", "parts"]);
        command
    };
    refused(resume().args(["--epsilon", "1/255"]), "leave out --epsilon");
    let (finished, text) = output(&mut resume());
    assert!(finished.status.success(), "{text}");
    let arrays = |out: &str| {
        let bytes = fs::read(folder.join(out).join("adversarial-1-1.safetensors")).unwrap();
        Checkpoint::from_bytes(&bytes).unwrap().arrays
    };
    assert_eq!(arrays("whole"), arrays("parts"));
    // Resuming a finished run does not change its results.
    let outcome = || {
        let result = json(&folder.join("parts/report.json"))["models"][0]["results"][0].clone();
        ["clean", "robust", "flags", "classes"].map(|key| result[key].clone())
    };
    let before = outcome();
    assert!(resume().status().unwrap().success());
    assert_eq!(outcome(), before);

    fs::copy(CE, folder.join("model.safetensors")).unwrap();
    let (run, _) = output(attack(folder).args([
        "--model",
        "model.safetensors",
        "--attack",
        "fgsm",
        "--limit",
        "4",
        "--out",
        "run",
    ]));
    assert!(run.status.success());
    fs::copy(OTJR, folder.join("model.safetensors")).unwrap();
    refused(
        Command::new(env!("CARGO_BIN_EXE_attack")).current_dir(folder).args(["--resume", "run"]),
        "has changed since",
    );
}

#[test]
fn bad_arguments_are_rejected_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("broken.safetensors"), "x").unwrap();
    let check = |arguments: &[&str], because: &str| {
        refused(attack(folder).args(["--model", OTJR, "--limit", "4", "--out", "run"]).args(arguments), because);
        assert!(!folder.join("run").exists(), "a rejected run must not create its directory");
    };
    check(&["--epsilon", "-1"], "between 0 and 3072");
    check(&["--epsilon", "8/255,abc"], "such as 0.03 or 8/255");
    check(&["--attack", "magic"], "--attack magic: expected one of fgsm");
    check(&["--attack", "square", "--steps", "3"], "--steps is not used by --attack square");
    check(&["--attack", "cw", "--norm", "linf"], "leave out --norm linf");
    check(&["--norm", "l7"], "expected one of linf, l2, l1");
    check(&["--target", "cat"], "a class number, random or least-likely");
    check(&["--attack", "fab-t", "--target", "3"], "leave out the target");
    check(&["--attack", "autoattack", "--target", "3"], "leave out the target");
    check(&["--attack", "pgd", "--target", "10"], "10 classes, numbered from 0");
    check(&["--batch", "18014398509481984"], "65536");
    check(&["--model", OTJR, "nowhere.safetensors"], "could not read nowhere.safetensors");
    check(&["--dataset", "folder"], "--data-dir");
    check(&["--model", OTJR, FIXTURE, "--attack", "pgd", "--target", "3"], "has 3 classes, the images have 10");
    check(&["--attack", "cw", "--share", "0.5"], "--share is not used by --attack cw");
    check(&["--attack", "square", "--share", "2"], "between 0 and 1");
    check(&["--model", FIXTURE], "has 3 classes, the images have 10");
    check(&["--model", "broken.safetensors"], "not a complete safetensors file");
    check(&["--model", "nowhere.safetensors"], "could not read nowhere.safetensors");
    check(&["--epsilon", "1/255,2/255", "--save", "x"], "--save needs one model and one radius");
    refused(attack(folder).args(["--limit", "4"]), "--model");
}
