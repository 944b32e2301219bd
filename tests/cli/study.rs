//! The program `study`.

use std::{fs, path::Path, process::Command};

use otjr::{
    attack::{AttackConfig, AttackKind, Norm},
    checkpoint::Checkpoint,
    data::synthetic,
    evaluate,
    model::Model,
    settings::Pixels,
};

use super::{CE, FIXTURE, OTJR, json, output, refused};

fn study(folder: &Path, models: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_study"));
    command.current_dir(folder).args(models).args([
        "--dataset",
        "synthetic",
        "--limit",
        "4",
        "--device",
        "cpu",
        "--out",
        "out",
    ]);
    command
}

/// The results agree with the library's. Stored results are not measured again.
#[test]
fn models_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (run, text) = output(&mut study(folder, &[CE, OTJR]));
    assert!(run.status.success(), "{text}");
    assert!(text.contains("ce: clean"), "{text}");
    for name in ["ce", "otjr"] {
        let findings = json(&folder.join(format!("out/{name}.json")));
        let device = burn::tensor::Device::flex();
        let path = if name == "ce" { CE } else { OTJR };
        let checkpoint = Checkpoint::from_bytes(&fs::read(path).unwrap()).unwrap();
        let model = Model::from_arrays(&checkpoint.model_arrays(), &device).unwrap();
        let images = synthetic::default_splits([1, 4]).test;
        // The fourth of six radii is 8/255.
        let eight = AttackConfig { epsilon: Pixels(8.0 / 255.0), ..AttackConfig::of(AttackKind::Pgd, Norm::Linf) };
        let never_stop = |_: &evaluate::State| std::ops::ControlFlow::Continue(());
        let state = pollster::block_on(evaluate::accuracy(&model, &images, &eight, 4, &device, never_stop)).unwrap();
        let [clean, robust] = state.accuracy().shares();
        assert_eq!((findings["curves"][1]["attack"].as_str(), findings["clean"].as_f64()), (Some("pgd"), Some(clean)));
        assert_eq!(findings["curves"][1]["robust"][3].as_f64(), Some(robust));
        let norm = |along: &str| findings[along]["norm"].as_f64().unwrap();
        assert!(norm("along_transport") > 0.0);
        assert!(norm("at_random") > 0.0);
        let layers: Vec<_> = findings["shifts"].as_array().unwrap().iter().map(|shift| &shift["layer"]).collect();
        assert_eq!((layers[0], layers[layers.len() - 1]), (&"pixels".into(), &"logits".into()));
    }
    let tables = fs::read_to_string(folder.join("out/tables.md")).unwrap();
    assert!(
        ["| ce |", "| otjr | otjr |", "| latent |", "estimate.svg", "K = 32"].iter().all(|part| tables.contains(part))
    );
    for figure in ["accuracy-fgsm.svg", "accuracy-pgd.svg", "accuracy-apgd-t.svg", "layers.svg", "estimate.svg"] {
        assert!(fs::read_to_string(folder.join("out").join(figure)).unwrap().starts_with("<svg"), "{figure}");
    }
    let (run, text) = output(&mut study(folder, &[OTJR, CE]));
    assert!(run.status.success(), "{text}");
    assert!(!text.contains("clean"), "{text}");
    refused(&mut study(folder, &[FIXTURE]), "has 3 classes, the images have 10");
    refused(&mut study(folder, &["nowhere.safetensors"]), "could not read nowhere.safetensors");
}
