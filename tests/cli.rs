//! The programs as their users run them: interrupted, resumed, given bad input.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use otjr::{
    checkpoint::Checkpoint,
    config::{AttackConfig, Corruption, Settings, TrainConfig},
    data::{Pictures, picture::encode_png, synthetic},
    evaluate::{self, Tally, View, Views, wilson},
    model::Model,
    train::{
        Trainer,
        validation::{self, Validation},
    },
};

/// Nobody listens there.
const NO_NETWORK: &str = "http://127.0.0.1:1";
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wrn10_1-c3-b3.safetensors");

fn train(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(folder).env("XDG_CACHE_HOME", folder).env_remove("OTJR_DATA").args(["--device", "cpu"]);
    command
}

/// A run of 24 steps in 2 epochs, seconds long, with 16 pictures set aside.
fn small(folder: &Path, out: &str) -> Command {
    let mut command = train(folder);
    command.args(["--limit", "112", "--validation", "16", "--batch", "8", "--epochs", "2", "--limit-test", "20"]);
    command.args(["--train-steps", "1"]);
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

/// Told to end by a scheduler it saves and ends well, by Ctrl-C it says so; the same command begins the run and goes on.
#[cfg(unix)]
#[test]
fn a_run_that_is_told_to_end_saves_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(small(folder, "whole").status().unwrap().success());
    let auto = |seconds: &str| {
        let mut command = small(folder, "parts");
        command.args(["--resume", "auto", "--save-every", seconds]);
        command
    };
    for (signal, until, code) in [("TERM", 4, 0), ("INT", 13, 130)] {
        // It saves only because it is told to.
        let mut child = auto("3600").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        let steps = || fs::read_to_string(folder.join("parts/otjr/log.jsonl")).map_or(0, |log| log.lines().count());
        while steps() < until && begin.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert!((until..24).contains(&steps()), "{signal} at step {}, not in the middle", steps());
        assert_eq!(checkpoint(folder, "parts").metadata["step"], steps().to_string());
    }
    let (finished, text) = output(&mut auto("0"));
    assert!(finished.status.success(), "{text}");
    assert_eq!(checkpoint(folder, "whole"), checkpoint(folder, "parts"));
    refused(train(folder).args(["--resume", "auto"]), "--resume auto needs --out");
}

/// A recipe's settings, its objective and what the command line overrules are those of the run; a file will do; what does
/// not exist is answered with what does.
#[test]
fn recipes_are_settings_under_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let settings = |out: &str| {
        let text = fs::read_to_string(folder.join(out).join("run.json")).unwrap();
        let run: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut config = TrainConfig::default();
        for pair in run["config"].as_array().unwrap() {
            config.set(pair[0].as_str().unwrap(), pair[1].as_str().unwrap()).unwrap();
        }
        (config, run["baseline"].is_null())
    };
    // Without data they stop after the run is planned, and say what is missing.
    let planned = |recipe: &str, more: &[&str], out: &str| {
        refused(
            train(folder).args(["--recipe", recipe, "--out", out, "--data-url", NO_NETWORK]).args(more),
            "data-dir",
        );
        settings(out)
    };
    let (paper, alone) = planned("otjr-cifar10", &[], "paper");
    assert!(alone);
    assert_eq!(paper.pairs(), TrainConfig::default().pairs(), "the defaults are the paper's");
    let (flagship, _) = planned("trades-flagship", &["--epochs", "3"], "flagship");
    let shown = |key: &str| flagship.get(key).unwrap();
    assert_eq!(["objective", "model", "epochs", "average"].map(shown), ["trades", "wrn-16-2", "3", "0.995"]);

    fs::write(folder.join("mine.toml"), "epochs = 7\nrate = 0.25\nobjective = \"sw\"\ndataset = \"cifar100\"\n")
        .unwrap();
    let (mine, _) = planned("mine.toml", &[], "mine");
    assert_eq!((mine.epochs, mine.rate, mine.objective.to_string().as_str()), (7, 0.25, "sw"));

    refused(train(folder).args(["--recipe", "otjr-cifar11"]), "OBJECTIVE-cifar100: The same on CIFAR-100");
    fs::write(folder.join("bad.toml"), "epoch = 7").unwrap();
    refused(train(folder).args(["--recipe", "bad.toml"]), "epoch");
    refused(train(folder).args(["--resume", "mine", "--recipe", "otjr-cifar10"]), "leave out --recipe");
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
    for (name, lines) in [("log.jsonl", 24), ("validation.jsonl", 2)] {
        let log = |out: &str| fs::read_to_string(folder.join(out).join("otjr").join(name)).unwrap();
        assert_eq!(log("whole"), log("parts"));
        assert_eq!(log("whole").lines().count(), lines);
    }
    let model = |out: &str| fs::read(folder.join(out).join("otjr/model.safetensors")).unwrap();
    assert!(model("whole") == model("parts"));
}

/// The model that a run leaves is that of the epoch that withstood best; it ends early when epochs bring nothing.
#[test]
fn the_best_epoch_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing is learnt at this rate: only the running statistics move.
    let (done, text) = output(small(folder, "run").args(["--rate", "0", "--epochs", "30", "--patience", "2"]));
    assert!(done.status.success(), "{text}");
    let log = fs::read_to_string(folder.join("run/otjr/validation.jsonl")).unwrap();
    let history: Vec<Validation> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (best, last) = (validation::best(&history).unwrap().epoch, history.len() as u64);
    assert!(last == best + 2 && last < 30, "{log}");
    assert!(text.contains(&format!("Kept: epoch {best} of {last}")), "{text}");
    let file = |name: &str| Checkpoint::from_bytes(&fs::read(folder.join("run/otjr").join(name)).unwrap()).unwrap();
    assert_eq!(file("model.safetensors").metadata["step"], (12 * best).to_string());
    assert_eq!(file("checkpoint.safetensors").metadata["step"], (12 * last).to_string());
}

/// A second set takes its share of each batch if its classes are those of the first.
#[test]
fn extra_pictures_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let classes = synthetic::usual([1, 1]).train.classes;
    let png = otjr::data::picture::encode_png(&[9; 3072]);
    for (set, class) in [("more", classes[1].as_str()), ("other", "teapot")] {
        for i in 0..10 {
            fs::create_dir_all(folder.join(set).join(class)).unwrap();
            fs::write(folder.join(set).join(class).join(format!("{i}.png")), &png).unwrap();
        }
    }
    let (done, text) = output(small(folder, "run").args(["--extra", "more", "--extra-share", "0.25"]));
    assert!(done.status.success() && text.contains("10 more in more: 25 % of each batch"), "{text}");
    refused(small(folder, "other").args(["--extra", "other"]), "its class 'teapot' is none of");
}

/// A plan says what a run would take, and makes none.
#[test]
fn plans_are_printed_only() {
    let folder = tempfile::tempdir().unwrap();
    let (done, text) = output(train(folder.path()).args(["--plan", "--limit", "64", "--model", "wrn-10-1"]));
    assert!(done.status.success(), "{text}");
    for part in ["77850 parameters", "8 of 64 pictures", "GFLOP/s", "GB", "Measured in steps of 16 and 32"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A checkpoint that came from elsewhere, with a picture of a class of its own, ends as if it had stayed there.
#[test]
fn a_run_from_elsewhere_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut config = TrainConfig::demo();
    let settings = [
        ("limit", "96"),
        ("batch", "8"),
        ("epochs", "2"),
        ("limit-test", "20"),
        ("train-steps", "1"),
        ("objective", "sw"),
    ];
    settings.into_iter().for_each(|(key, value)| config.set(key, value).unwrap());
    let mut data = synthetic::usual([96, 20]);
    let mut own = Pictures::default();
    own.add(&[200; 3072], "teapot");
    data.join(&own);
    let mut trainer = Trainer::new(&config, &data.train, &burn::tensor::Device::flex()).unwrap();
    trainer.own = own;
    let steps = trainer.steps(&data.train);
    assert_eq!((data.train.len(), steps), (96 + 9, 26));
    let mut file = |until: u64| {
        while trainer.step < until {
            trainer.step(&data.train);
        }
        pollster::block_on(trainer.checkpoint()).unwrap()
    };
    fs::write(folder.join("page.safetensors"), file(steps / 2).to_bytes()).unwrap();
    let (done, text) = output(train(folder).args(["--resume", "page.safetensors", "--out", "here"]));
    assert!(done.status.success(), "{text}");
    let here = Checkpoint::from_bytes(&fs::read(folder.join("here/sw/checkpoint.safetensors")).unwrap()).unwrap();
    assert_eq!(here, file(steps));
    assert!(here.metadata["classes"].contains("teapot"));
    refused(train(folder).args(["--resume", "page.safetensors", "--rate", "1"]), "leave out --rate");
    refused(train(folder).args(["--resume", FIXTURE]), "the file is a model, not a run");
}

/// The program says what it wrote, and that is there: table, curves, a model that the page can open.
#[test]
fn a_run_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, text) = output(small(folder, "run").args(["--epochs", "1", "--baseline", "ce"]));
    for file in [
        "run/report.md",
        "run/report.html",
        "run/report.json",
        "run/curves.svg",
        "run/otjr/model.safetensors",
        "run/ce/model.safetensors",
    ] {
        assert!(folder.join(file).exists(), "{file}: {text}");
    }
    assert!(text.contains("| otjr |") && text.contains("| ce |") && text.contains("run/report.md"), "{text}");
    assert!(fs::read_to_string(folder.join("run/curves.svg")).unwrap().starts_with("<svg"));
    let model = Checkpoint::from_bytes(&fs::read(folder.join("run/otjr/model.safetensors")).unwrap()).unwrap();
    assert!(model.arrays.keys().all(|name| name.starts_with("model.")));
    refused(&mut small(folder, "run"), "holds a run");
    refused(train(folder).args(["--resume", "run", "--epochs", "9"]), "leave out --epochs");
}

/// A page that asks for nothing, in which names are text whatever they are; the last line alone, if that is wanted.
#[cfg(unix)]
#[test]
fn a_run_leaves_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let odd = "<script>\"&'";
    for (class, shade) in [(odd, 40), ("plain", 200)] {
        fs::create_dir_all(folder.join("set").join(class)).unwrap();
        for i in 0..20 {
            let png = encode_png(&vec![shade + i; 3072]);
            fs::write(folder.join(format!("set/{class}/{i}.png")), png).unwrap();
        }
    }
    let mut command = train(folder);
    command.args(["--dataset", "folder", "--data-dir", "set", "--model", "wrn-10-1", "--epochs", "1", "--batch", "4"]);
    command.args(["--train-steps", "1", "--out", "run", "--baseline", "ce", "--quiet"]);
    let (run, text) = output(&mut command);
    assert!(run.status.success(), "{text}");
    assert_eq!(text, "Written: run/report.html, run/report.md, run/curves.svg\n");

    let page = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert!(
        page.contains("&lt;script&gt;&quot;&amp;'") && !page.contains("<script"),
        "the class's name is not escaped"
    );
    for part in ["PGD-20 8/255", "otjr, clean", "lambda-jac", "CPU (", "Jacobian penalty R"] {
        assert!(page.contains(part), "'{part}' is not in the page");
    }
    // A picture of each class: clean, attacked for both models, and what the attack changed if there was one.
    let pictures = page.matches("<img src=\"data:image/png;base64,").count();
    assert!((6..=10).contains(&pictures), "{pictures} pictures");
    assert_eq!(page.matches("<img").count(), pictures);
    assert_eq!(page.matches("<svg").count(), 5);
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!addresses.contains("://") && !addresses.contains("url("), "the page asks for something");

    let report = json(&folder.join("run/report.json"));
    for run in report.as_array().unwrap() {
        let sum = |key: &str| run["classes"].as_array().unwrap().iter().map(|c| c[key].as_u64().unwrap()).sum::<u64>();
        for key in ["pictures", "clean", "robust"] {
            assert_eq!(run["accuracy"][key].as_u64(), Some(sum(key)), "{key}");
        }
        assert_eq!(run["attacks"][0]["before"], run["accuracy"]["clean"]);
    }
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
    refused(train(folder).args(["--dataset", "folder"]), "--data-dir");
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

const OTJR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public/models/otjr.safetensors");
const CE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public/models/ce.safetensors");

fn attack(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attack"));
    command.current_dir(folder).args(["--device", "cpu"]);
    command
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Two models, two radii, three attacks: a table, JSON, a picture, and the adversarial pictures as they were counted.
#[test]
fn an_attack_leaves_a_report() {
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
    for part in ["clean", "fgsm", "apgd-ce", "square", "robust", "class", "disc", "looks", "Written: run/report.md"] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    let report = json(&folder.join("out.json"));
    let models = report["models"].as_array().unwrap();
    assert_eq!((models.len(), models[0]["results"].as_array().unwrap().len()), (2, 2));
    let robust = |model: usize, radius: usize| models[model]["results"][radius]["robust"].as_f64().unwrap();
    assert!(robust(0, 1) > robust(1, 1) + 0.3, "{text}");
    assert!(robust(0, 0) >= robust(0, 1) && robust(1, 0) >= robust(1, 1));
    let png = fs::read(folder.join("run/accuracy.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));

    let saved = Checkpoint::from_bytes(&fs::read(folder.join("run/adversarial-2-2.safetensors")).unwrap()).unwrap();
    let felled = &saved.arrays["felled_by"].values;
    let standing = felled.iter().filter(|v| **v == -1.0).count();
    assert_eq!(standing as f64 / 20.0, robust(1, 1));
    for (i, by) in felled.iter().enumerate() {
        let wrong = saved.arrays["predictions"].values[i] != saved.arrays["labels"].values[i];
        assert_eq!(wrong, *by != -1.0);
    }
}

/// The same model twice, and models of the same name: none is taken for another.
#[test]
fn models_of_one_name_are_told_apart() {
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

/// Killed in the middle and resumed: the same pictures as without.
#[test]
fn a_killed_attack_goes_on() {
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
    assert!(!folder.join("parts/report.json").exists(), "it had ended before it was killed");
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
    // Finished is finished: what was found is not counted twice.
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
fn bad_attacks_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("broken.safetensors"), "x").unwrap();
    let check = |arguments: &[&str], because: &str| {
        refused(attack(folder).args(["--model", OTJR, "--limit", "4", "--out", "run"]).args(arguments), because);
        assert!(!folder.join("run").exists(), "a refused run leaves nothing");
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
    check(
        &["--model", OTJR, FIXTURE, "--attack", "pgd", "--target", "3"],
        "tells 3 classes apart, the pictures have 10",
    );
    check(&["--attack", "cw", "--share", "0.5"], "--share is not used by --attack cw");
    check(&["--attack", "square", "--share", "2"], "between 0 and 1");
    check(&["--model", FIXTURE], "tells 3 classes apart, the pictures have 10");
    check(&["--model", "broken.safetensors"], "not a complete safetensors file");
    check(&["--model", "nowhere.safetensors"], "could not read nowhere.safetensors");
    check(&["--epsilon", "1/255,2/255", "--save", "x"], "--save takes one model and one radius");
    refused(attack(folder).args(["--limit", "4"]), "--model");
}

fn evaluate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evaluate"));
    command.current_dir(folder).args(["--device", "cpu"]);
    command
}

/// Two models side by side: what the report says of them is what the core says.
#[test]
fn an_evaluation_leaves_a_report() {
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
    let pictures = synthetic::usual([1, 12]).test;
    let device = burn::tensor::Device::flex();
    // What is read from text may be off by its last bit.
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
        let model = Model::from_arrays(&checkpoint.model(), &device).unwrap();
        let pgd = AttackConfig { steps: 3, seed: 5, epsilon: otjr::config::Pixels(4.0 / 255.0), ..Default::default() };
        let state = evaluate::accuracy(&model, &pictures, &pgd, 12, &device, |_| std::ops::ControlFlow::Continue(()));
        let shares = pollster::block_on(state).unwrap().accuracy().shares();
        same(&[score("clean", None, None), score("pgd-3", None, None)], &shares);

        let views = &View::corruptions();
        let views = Views { pictures: &pictures, views, seed: 5, batch: 12 };
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
        // Clean, corrupted and its parts, two attacks.
        assert_eq!(scores.len(), 1 + (1 + 12 * 6) + 2);
    }
    assert!(accuracies[0][1] > accuracies[1][1], "{accuracies:?}");

    let read = |name: &str| fs::read_to_string(folder.join("run").join(name)).unwrap();
    let shown = format!("{:.2} %", 100.0 * accuracies[0][1]);
    let row = text.lines().find(|line| line.starts_with("| pgd-3 |")).unwrap();
    assert!(row.contains(&shown) && read("report.md").contains(row), "{row}");
    assert_eq!(read("report.md").matches("\n## ").count(), 12, "a table for each corruption");
    assert_eq!(read("report.csv").lines().count(), 1 + 2 * (1 + (1 + 12 * 6) + 2));
    let csv = read("report.csv");
    let row = csv.lines().find_map(|line| line.strip_prefix("\"ce\",pgd-3,,,12,")).unwrap();
    same(&[row.split(',').next().unwrap().parse().unwrap()], &[accuracies[1][1]]);
    let svg = read("accuracy.svg");
    assert!(svg.starts_with("<svg") && ["otjr", "pgd-3", "motion_blur"].iter().all(|name| svg.contains(name)));
    refused(evaluate(folder).args(["--weights", CE, "--out", "run"]), "holds a run");
}

/// Told to end, killed, and gone on with each time: the report of a run that was left alone.
#[cfg(unix)]
#[test]
fn a_stopped_evaluation_goes_on() {
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
        assert!(!folder.join("parts/report.json").exists(), "it had ended before {signal}");
    }
    refused(resume().args(["--epsilon", "1/255"]), "leave out --epsilon");
    let (finished, text) = output(&mut resume());
    assert!(finished.status.success(), "{text}");
    assert_eq!(json(&folder.join("parts/report.json")), json(&folder.join("whole/report.json")));
}

#[test]
fn bad_evaluations_are_refused_with_a_reason() {
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
        assert!(!folder.join("run").exists(), "a refused run leaves nothing");
    };
    check(&["--weights", CE, "nowhere.safetensors"], "could not read nowhere.safetensors");
    check(&["--weights", CE, "broken.safetensors"], "not a complete safetensors file");
    check(&["--weights", "broken.safetensors"], "if PyTorch saved it");
    check(&["--weights", FIXTURE], "tells 3 classes apart, the pictures have 10: choose the --dataset");
    check(&["--weights", "other.safetensors"], "calls class 0 'animal 0', in the pictures it is 'disc'");
    check(&["--weights", CE, "--attacks", "clean,magic"], "--attacks magic: expected clean, corruptions");
    check(&["--weights", CE, "--attacks", "pgd-0"], "--attacks pgd-0: steps = '0': expected a number between 1");
    check(&["--weights", CE, "--attacks", "cw"], "in l2, the others in linf: run it with `attack`");
    check(&["--weights", CE, "--epsilon", "abc"], "such as 0.03 or 8/255");
    check(&["--weights", CE, "--dataset", "cifar10"], "--data-dir");
    check(&["--weights", CE, "--dataset", "imagenet"], "--dataset imagenet: expected one of synthetic");
    check(&[], "--weights");
    // What has no names is taken at its word.
    let (run, text) =
        output(evaluate(folder).args(["--weights", "unnamed.safetensors", "--attacks", "clean", "--limit", "4"]));
    assert!(run.status.success() && text.contains("| clean |"), "{text}");
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
