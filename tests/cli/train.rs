//! The program `train`: interrupted and resumed runs, runs from the page, reports, bad input.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use otjr::{
    checkpoint::Checkpoint,
    data::{ImageSet, image::encode_png, synthetic},
    settings::Settings,
    train::{
        TrainConfig, Trainer,
        validation::{self, Validation},
    },
};

use super::{FIXTURE, NO_NETWORK, json, output, refused};

fn train(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.current_dir(folder).env("XDG_CACHE_HOME", folder).env_remove("OTJR_DATA").args(["--device", "cpu"]);
    command
}

/// A run of 24 steps in 2 epochs with 16 held-out images. It takes seconds.
fn small(folder: &Path, out: &str) -> Command {
    let mut command = train(folder);
    command.args(["--limit", "112", "--validation", "16", "--batch", "8", "--epochs", "2", "--limit-test", "20"]);
    command.args(["--train-steps", "1"]);
    command.args(["--save-every", "0", "--baseline", "none", "--out", out]);
    command
}

fn checkpoint(folder: &Path, out: &str) -> Checkpoint {
    let path = folder.join(out).join("otjr/checkpoint.safetensors");
    Checkpoint::from_bytes(&fs::read(path).unwrap()).unwrap()
}

/// A run saves and exits with 0 after SIGTERM and with 130 after Ctrl-C. The same command starts and resumes the run.
#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(small(folder, "whole").status().unwrap().success());
    let auto = |seconds: &str| {
        let mut command = small(folder, "parts");
        command.args(["--resume", "auto", "--save-every", seconds]);
        command
    };
    for (signal, until, code) in [("TERM", 4, 0), ("INT", 13, 130)] {
        // The interval is long, so only the signal causes a save.
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

/// A run has the settings of its recipe, which may be a file, and the command line overrides them. The error for an unknown
/// recipe lists the known ones.
#[test]
fn recipes_are_named_settings() {
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
    // Without data, a run stops after its directory is created.
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

    refused(train(folder).args(["--recipe", "otjr-cifar11"]), "OBJECTIVE-cifar100: The paper's settings on CIFAR-100");
    fs::write(folder.join("bad.toml"), "epoch = 7").unwrap();
    refused(train(folder).args(["--recipe", "bad.toml"]), "epoch");
    refused(train(folder).args(["--resume", "mine", "--recipe", "otjr-cifar10"]), "leave out --recipe");
}

/// The model of a run is that of the epoch with the highest robust accuracy. A run stops early without improvement.
#[test]
fn the_best_epoch_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // With learning rate 0 only the running statistics change.
    let (done, text) = output(small(folder, "run").args(["--rate", "0", "--epochs", "30", "--patience", "2"]));
    assert!(done.status.success(), "{text}");
    let page = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert_eq!(page.matches("Held-out images").count(), 2, "both accuracies of each epoch must be drawn");
    let log = fs::read_to_string(folder.join("run/otjr/validation.jsonl")).unwrap();
    let history: Vec<Validation> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (best, last) = (validation::best(&history).unwrap().epoch, history.len() as u64);
    assert!(last == best + 2, "{log}");
    assert!(last < 30, "{log}");
    assert!(text.contains(&format!("Kept epoch {best} of {last}")), "{text}");
    let file = |name: &str| Checkpoint::from_bytes(&fs::read(folder.join("run/otjr").join(name)).unwrap()).unwrap();
    assert_eq!(file("model.safetensors").metadata["step"], (12 * best).to_string());
    assert_eq!(file("checkpoint.safetensors").metadata["step"], (12 * last).to_string());
}

/// A run with `--weights` starts from that model and has its architecture, also after a kill before the first save. Rows for
/// classes that the model lacks are random.
#[test]
fn a_run_starts_from_given_weights() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ten_classes = FIXTURE.replace("c3-b3", "c10-b2");
    let check = |run: &mut Command, out: &str, given: &str, random: usize| {
        let (done, text) = output(run);
        assert!(done.status.success(), "{text}");
        assert!(text.contains(&format!("{random} of 10 rows of the last layer")), "{text}");
        let (given, kept) = (Checkpoint::from_bytes(&fs::read(given).unwrap()).unwrap(), checkpoint(folder, out));
        for (name, array) in &given.model_arrays() {
            // With learning rate 0 only the running statistics change.
            if !name.contains("running") && (random == 0 || !name.starts_with("fc.")) {
                assert_eq!(kept.model_arrays().get(name), Some(array), "{name}");
            }
        }
    };
    let copy = folder.join("given.safetensors");
    fs::copy(&ten_classes, &copy).unwrap();
    let frozen = |out: &str, given: &str| {
        let mut command = small(folder, out);
        command.args(["--weights", given, "--rate", "0"]);
        command
    };
    check(&mut frozen("run", "given.safetensors"), "run", &ten_classes, 0);
    check(&mut frozen("other-classes", FIXTURE), "other-classes", FIXTURE, 7);
    // The run has a copy of the file.
    fs::remove_file(copy).unwrap();
    fs::create_dir(folder.join("killed")).unwrap();
    for file in ["weights.safetensors", "run.json"] {
        fs::copy(folder.join("run").join(file), folder.join("killed").join(file)).unwrap();
    }
    check(train(folder).args(["--resume", "killed"]), "killed", &ten_classes, 0);

    refused(small(folder, "other").args(["--weights", FIXTURE, "--model", "wrn-10-1"]), "--model");
    refused(small(folder, "other").args(["--weights", "nowhere"]), "could not read nowhere");
    refused(train(folder).args(["--resume", "run", "--weights", FIXTURE]), "leave out --weights");
    fs::write(folder.join("robust.pt"), "PK").unwrap();
    refused(small(folder, "other").args(["--weights", "robust.pt"]), "convert it with the program `convert`");
    assert!(!folder.join("other").exists(), "a rejected run must not create its directory");
}

/// A second data set with the same classes takes its share of each batch.
#[test]
fn extra_images_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let classes = synthetic::default_splits([1, 1]).train.classes;
    let png = otjr::data::image::encode_png(&[9; 3072]);
    for (set, class) in [("more", classes[1].as_str()), ("other", "teapot")] {
        for i in 0..10 {
            fs::create_dir_all(folder.join(set).join(class)).unwrap();
            fs::write(folder.join(set).join(class).join(format!("{i}.png")), &png).unwrap();
        }
    }
    let (done, text) = output(small(folder, "run").args(["--extra", "more", "--extra-share", "0.25"]));
    assert!(done.status.success(), "{text}");
    assert!(text.contains("10 extra images from more: 25 % of each batch"), "{text}");
    refused(small(folder, "other").args(["--extra", "other"]), "its class 'teapot' is not one of");
}

/// `--plan` prints estimates and writes nothing.
#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (done, text) = output(train(folder.path()).args(["--plan", "--limit", "64", "--model", "wrn-10-1"]));
    assert!(done.status.success(), "{text}");
    for part in ["77850 parameters", "8 of 64 images", "GFLOP/s", "GB", "Measured with batches of 16, 32 and 64 images"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A checkpoint from the page, with a user image of a new class, ends as if the run had not been moved.
#[test]
fn a_run_from_the_page_resumes() {
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
    let mut data = synthetic::default_splits([96, 20]);
    let mut own = ImageSet::default();
    own.add(&[200; 3072], "teapot");
    data.extend_with(&own);
    let mut trainer = Trainer::new(&config, &data.train, &burn::tensor::Device::flex()).unwrap();
    trainer.user_images = own;
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

/// The error of a diverged run does not recommend to resume it. A model file and changed settings are rejected.
#[test]
fn a_run_that_cannot_resume_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (done, text) = output(small(folder, "run").args(["--rate", "100", "--schedule", "cosine", "--epochs", "9"]));
    assert!(!done.status.success(), "{text}");
    assert!(text.contains("start a new run"), "{text}");
    assert!(!text.contains("--resume"), "{text}");
    let (done, text) = output(&mut small(folder, "good"));
    assert!(done.status.success(), "{text}");
    for model in ["good/otjr/model.safetensors", "good/otjr/best.safetensors"] {
        refused(train(folder).args(["--resume", model, "--out", "again"]), "the file is a model, not a run");
    }
    assert!(!folder.join("again").exists());
    let auto = ["--resume", "auto", "--out", "good"];
    refused(train(folder).args(auto).args(["--epochs", "3"]), "has epochs 2, not 3: leave out --epochs");
    refused(train(folder).args(auto).args(["--recipe", "trades-cifar10"]), "leave out --");
    refused(train(folder).args(auto).args(["--baseline", "pgd"]), "has baseline none, not pgd");
    refused(train(folder).args(auto).args(["--weights", FIXTURE]), "did not start from");
    let (done, text) = output(train(folder).args(auto).args(["--epochs", "2"]));
    assert!(done.status.success(), "{text}");
}

/// A run writes its report, its curves and its models.
#[test]
fn train_writes_a_report() {
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
    assert!(text.contains("| otjr |"), "{text}");
    assert!(text.contains("| ce |"), "{text}");
    assert!(text.contains("run/report.md"), "{text}");
    assert!(fs::read_to_string(folder.join("run/curves.svg")).unwrap().starts_with("<svg"));
    let model = Checkpoint::from_bytes(&fs::read(folder.join("run/otjr/model.safetensors")).unwrap()).unwrap();
    assert!(model.arrays.keys().all(|name| name.starts_with("model.")));
    refused(&mut small(folder, "run"), "contains a run");
    // A run that never started training does not block its directory.
    let absent = ["--dataset", "cifar10", "--data-dir", "nowhere"];
    refused(small(folder, "again").args(absent), "nowhere");
    assert!(folder.join("again/run.json").exists());
    refused(small(folder, "again").args(["--resume", "auto"]).args(absent), "nowhere");
    output(small(folder, "again").args(["--resume", "auto", "--epochs", "1"]));
    // Files that do not belong to a run are not overwritten.
    fs::create_dir(folder.join("mine")).unwrap();
    fs::write(folder.join("mine/weights.safetensors"), b"mine").unwrap();
    refused(&mut small(folder, "mine"), "does not belong to a run");
    assert_eq!(fs::read(folder.join("mine/weights.safetensors")).unwrap(), b"mine");
    refused(train(folder).args(["--resume", "run", "--epochs", "9"]), "leave out --epochs");
}

/// The HTML report has no external resources and escapes class names. With `--quiet` only the last line is printed.
#[cfg(unix)]
#[test]
fn train_writes_an_html_report() {
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
    assert!(page.contains("&lt;script&gt;&quot;&amp;'"), "the class's name is not escaped");
    assert!(!page.contains("<script"), "the class's name is not escaped");
    for part in ["PGD-20 8/255", "otjr, clean", "lambda-jac", "CPU (", "Jacobian penalty R"] {
        assert!(page.contains(part), "'{part}' is not in the page");
    }
    // For each class: the clean image, the adversarial images of both models, and their perturbations if there are any.
    let images = page.matches("<img src=\"data:image/png;base64,").count();
    assert!((6..=10).contains(&images), "{images} images");
    assert_eq!(page.matches("<img").count(), images);
    assert_eq!(page.matches("<svg").count(), 5);
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!addresses.contains("://"), "the page has an external resource");
    assert!(!addresses.contains("url("), "the page has an external resource");

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
fn bad_arguments_are_rejected_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("file"), "").unwrap();
    refused(train(folder).args(["--train-epsilon", "-1"]), "--train-epsilon = '-1': expected a number between 0 and 1");
    refused(train(folder).args(["--train-epsilon", "abc"]), "such as 0.03 or 8/255");
    refused(train(folder).args(["--model", "vgg"]), "wrn-28-10");
    refused(train(folder).args(["--objective", "sgd"]), "possible values");
    refused(train(folder).args(["--dataset", "folder"]), "--data-dir");
    refused(train(folder).args(["--dataset", "cifar10", "--data-dir", "nowhere"]), "nowhere");
    refused(train(folder).args(["--device", "tpu"]), "cpu, gpu, gpu:N");
    refused(train(folder).args(["--device", "cuda:x"]), "expected cuda:N");
    refused(train(folder).args(["--device", "cuda"]), "--features cuda");
    refused(train(folder).args(["--out", "file/run"]), "could not create the directory file/run");
    refused(train(folder).args(["--resume", "nowhere"]), "nowhere is not a run");
}

/// A damaged checkpoint is rejected and not overwritten.
#[test]
fn a_truncated_checkpoint_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(small(folder, "run").args(["--epochs", "1"]).status().unwrap().success());
    let path = folder.join("run/otjr/checkpoint.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(train(folder).args(["--resume", "run"]), "not a complete safetensors file");
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len() / 2);
}
