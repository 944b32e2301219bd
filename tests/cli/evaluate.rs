//! The program `evaluate`: reports, interrupted and resumed runs, bad input.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use otjr::{
    attack::AttackConfig,
    checkpoint::Checkpoint,
    data::{Corruption, synthetic},
    evaluate::{self, Tally, View, Views, wilson},
    model::Model,
};

use super::{CE, FIXTURE, OTJR, json, output, refused};

fn evaluate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evaluate"));
    command.current_dir(folder).args(["--device", "cpu"]);
    command
}

/// The report on two models agrees with the library's results.
#[test]
fn evaluate_writes_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (run, text) = output(evaluate(folder).args([
        "--weights",
        OTJR,
        CE,
        "--attacks",
        "clean,corruptions,pgd-3,fgsm",
        "--epsilon",
        "4/255",
        "--seed",
        "5",
        "--limit",
        "12",
        "--out",
        "run",
    ]));
    assert!(run.status.success(), "{text}");
    let files = ["run/report.md", "run/report.json", "run/report.csv", "run/accuracy.svg"];
    assert!(text.contains(&format!("Written: {}", files.join(", "))), "{text}");

    let report = json(&folder.join("run/report.json"));
    let images = synthetic::default_splits([1, 12]).test;
    let device = burn::tensor::Device::flex();
    // Numbers that are read from text may differ in the last bit.
    let same = |a: &[f64], b: &[f64]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
    let mut accuracies = Vec::new();
    for (number, file) in [OTJR, CE].into_iter().enumerate() {
        let scores = report["models"][number]["scores"].as_array().unwrap();
        let score = |test: &str, corruption: Option<Corruption>, severity: Option<usize>| {
            let wanted = (serde_json::json!(corruption.map(|c| c.name())), serde_json::json!(severity));
            let is =
                |s: &&serde_json::Value| s["test"] == test && s["corruption"] == wanted.0 && s["severity"] == wanted.1;
            let [found] = scores.iter().filter(is).collect::<Vec<_>>()[..] else { panic!("{test} {wanted:?}") };
            let accuracy = found["accuracy"].as_f64().unwrap();
            let end = |i: usize| found["interval"][i].as_f64().unwrap();
            same(&[end(0), end(1)], &wilson(accuracy, 12));
            accuracy
        };
        let checkpoint = Checkpoint::from_bytes(&fs::read(file).unwrap()).unwrap();
        let model = Model::from_arrays(&checkpoint.model_arrays(), &device).unwrap();
        let pgd = AttackConfig { steps: 3, seed: 5, ..Default::default() }.within(otjr::settings::Pixels(4.0 / 255.0));
        let state = evaluate::accuracy(&model, &images, &pgd, 12, &device, |_| std::ops::ControlFlow::Continue(()));
        let shares = pollster::block_on(state).unwrap().accuracy().shares();
        same(&[score("clean", None, None), score("pgd-3", None, None)], &shares);

        let views = &View::corruptions();
        let views = Views { images: &images, views, seed: 5, batch: 12 };
        let mut tally = Tally::default();
        while tally.done < views.total() {
            pollster::block_on(views.step(&model, &device, &mut tally)).unwrap();
        }
        let share = |right: &[usize]| right.iter().sum::<usize>() as f64 / (right.len() * 12) as f64;
        same(&[score("corruptions", None, None)], &[share(&tally.right)]);
        for (kind, right) in Corruption::ALL.iter().zip(tally.right.chunks(5)) {
            same(&[score("corruptions", Some(*kind), None)], &[share(right)]);
            for (severity, n) in (1..).zip(right) {
                same(&[score("corruptions", Some(*kind), Some(severity))], &[share(&[*n])]);
            }
        }
        accuracies.push([score("fgsm", None, None), score("pgd-3", None, None)]);
        // Clean, corruptions and their parts, two attacks.
        assert_eq!(scores.len(), 1 + (1 + 12 * 6) + 2);
    }
    assert!(accuracies[0][1] > accuracies[1][1], "{accuracies:?}");

    let read = |name: &str| fs::read_to_string(folder.join("run").join(name)).unwrap();
    let shown = format!("{:.2} %", 100.0 * accuracies[0][1]);
    let row = text.lines().find(|line| line.starts_with("| pgd-3 |")).unwrap();
    assert!(row.contains(&shown), "{row}");
    assert!(read("report.md").contains(row), "{row}");
    assert_eq!(read("report.md").matches("\n## ").count(), 12, "a table for each corruption");
    assert_eq!(read("report.csv").lines().count(), 1 + 2 * (1 + (1 + 12 * 6) + 2));
    let csv = read("report.csv");
    let row = csv.lines().find_map(|line| line.strip_prefix("\"ce\",pgd-3,,,12,")).unwrap();
    same(&[row.split(',').next().unwrap().parse().unwrap()], &[accuracies[1][1]]);
    let svg = read("accuracy.svg");
    assert!(svg.starts_with("<svg"));
    assert!(["otjr", "pgd-3", "motion_blur"].iter().all(|name| svg.contains(name)));
    refused(evaluate(folder).args(["--weights", CE, "--out", "run"]), "contains a run");
}

/// A run that is interrupted by SIGTERM and SIGKILL and resumed produces the report of an uninterrupted run.
#[cfg(unix)]
#[test]
fn an_interrupted_evaluation_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let begin = |out: &str| {
        let mut command = evaluate(folder);
        command.args(["--weights", OTJR, CE, "--attacks", "corruptions,pgd-40", "--limit", "24", "--batch", "4"]);
        command.args(["--save-every", "0", "--out", out]);
        command
    };
    let resume = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evaluate"));
        command.current_dir(folder).args(["--resume", "parts"]);
        command
    };
    assert!(begin("whole").stdout(Stdio::null()).status().unwrap().success());
    for (mut command, file, signal, code) in
        [(begin("parts"), "corruptions-1.json", "TERM", Some(0)), (resume(), "pgd-40-1.safetensors", "KILL", None)]
    {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while !folder.join("parts").join(file).exists() && since.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), code, "{signal}");
        assert!(!folder.join("parts/report.json").exists(), "the run ended before {signal}");
    }
    refused(resume().args(["--epsilon", "1/255"]), "leave out --epsilon");
    let (finished, text) = output(&mut resume());
    assert!(finished.status.success(), "{text}");
    assert_eq!(json(&folder.join("parts/report.json")), json(&folder.join("whole/report.json")));
}

/// Results on other images are not reused.
#[test]
fn a_changed_data_set_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let gray = otjr::data::image::encode_png(&[9; 3072]);
    for class in ["a", "b", "c"] {
        fs::create_dir_all(folder.join("set").join(class)).unwrap();
        for name in ["1.png", "2.png"] {
            fs::write(folder.join("set").join(class).join(name), &gray).unwrap();
        }
    }
    let mut command = evaluate(folder);
    command.args([
        "--weights",
        FIXTURE,
        "--attacks",
        "clean",
        "--out",
        "run",
        "--dataset",
        "folder",
        "--data-dir",
        "set",
    ]);
    let (done, text) = output(&mut command);
    assert!(done.status.success(), "{text}");
    let white = otjr::data::image::encode_png(&[255; 3072]);
    fs::write(folder.join("set").join("a/2.png"), white).unwrap();
    let mut resume = Command::new(env!("CARGO_BIN_EXE_evaluate"));
    refused(resume.current_dir(folder).args(["--resume", "run"]), "the data set has changed");
}

#[test]
fn bad_arguments_are_rejected_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("broken.safetensors"), "x").unwrap();
    let with_classes = |name: &str, classes: Option<&str>| {
        let mut checkpoint = Checkpoint::from_bytes(&fs::read(CE).unwrap()).unwrap();
        checkpoint.metadata.remove("classes");
        checkpoint.metadata.extend(classes.map(|classes| ("classes".to_owned(), classes.to_owned())));
        fs::write(folder.join(name), checkpoint.to_bytes()).unwrap();
    };
    let other: Vec<String> = (0..10).map(|i| format!("animal {i}")).collect();
    with_classes("other.safetensors", Some(&serde_json::json!(other).to_string()));
    with_classes("unnamed.safetensors", None);
    let check = |arguments: &[&str], because: &str| {
        refused(evaluate(folder).args(["--limit", "4", "--out", "run"]).args(arguments), because);
        assert!(!folder.join("run").exists(), "a rejected run must not create its directory");
    };
    check(&["--weights", CE, "nowhere.safetensors"], "could not read nowhere.safetensors");
    check(&["--weights", CE, "broken.safetensors"], "not a complete safetensors file");
    check(&["--weights", "broken.safetensors"], "if PyTorch saved it");
    check(&["--weights", FIXTURE], "has 3 classes, the images have 10: choose the --dataset");
    check(&["--weights", "other.safetensors"], "calls class 0 'animal 0', the data set calls it 'disc'");
    check(&["--weights", CE, "--attacks", "clean,magic"], "--attacks magic: expected clean, corruptions");
    check(&["--weights", CE, "--attacks", "pgd-0"], "--attacks pgd-0: steps = '0': expected a number between 1");
    check(&["--weights", CE, "--attacks", "cw"], "in l2, the others in linf: run it with `attack`");
    check(&["--weights", CE, "--epsilon", "abc"], "such as 0.03 or 8/255");
    check(&["--weights", CE, "--dataset", "cifar10"], "--data-dir");
    check(&["--weights", CE, "--dataset", "imagenet"], "--dataset imagenet: expected one of synthetic");
    check(&[], "--weights");
    // A checkpoint without class names is accepted.
    let (run, text) =
        output(evaluate(folder).args(["--weights", "unnamed.safetensors", "--attacks", "clean", "--limit", "4"]));
    assert!(run.status.success(), "{text}");
    assert!(text.contains("| clean |"), "{text}");
}
