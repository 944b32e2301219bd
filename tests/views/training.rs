//! What the page says and draws of training runs: what the numbers say, and nothing of what there is not.

use otjr::{
    app::{
        chart::{Chart, Form, SeriesStyle},
        domain::{
            action::{TrainingAction, UserAction},
            backend::BackendKind,
        },
        present::{
            figures::{Figure, training_curves},
            run_table::{self, COLUMNS},
            settings::{SettingsGroup, ShownSettings},
            slider_stops, training_status,
        },
        state::{
            State,
            run::{AccuracyPoint, Run, RunPhase},
            training::Training,
        },
    },
    attack::Norm,
    data::Dataset,
    evaluate::{Accuracy, Report},
    explore::probe::LatentPath,
    loss::Objective,
    protocol::{BatchPreview, InitFrom, RunInfo, RunSnapshot, Slot, TrackedImage, TrainingDataInfo, UploadedDataset},
    settings::Setting,
    train::{Record, TrainConfig},
};

use super::{cats_and_dogs, lines, shifts, sound, transported};

fn all_settings(group: SettingsGroup) -> Vec<Setting> {
    let ShownSettings { essential, more } = group.settings();
    [essential, more].concat()
}

fn record(step: u64) -> Record {
    let loss = 2.0 / (1.0 + 0.01 * step as f32);
    Record { step, epoch: 1, rate: 0.1, loss, ce: 0.75 * loss, distance: Some(0.5), jacobian: Some(20.0) }
}

fn look(step: u64, clean: f32, robust: f32, seen: [[f32; 2]; 2]) -> RunSnapshot {
    let way = LatentPath { reference: cats_and_dogs(), path: vec![[-2.0, 0.0], [1.0, 0.0]] };
    let [before, after] = seen.map(Vec::from);
    let followed =
        TrackedImage { clean: before, adversarial: after, shifts: shifts(&[0.02, 0.03, 0.5], 0.9), latents: way };
    let batch = BatchPreview {
        images: vec![0; 3072],
        adversarial_images: vec![255; 3072],
        labels: vec![0],
        clean_predictions: vec![0],
        adversarial_predictions: vec![1],
        transport: Some(transported(&[4.0, 4.0])),
    };
    RunSnapshot { step, clean, robust, batch: Some(batch), tracked: Some(followed) }
}

/// A run of 400 steps, 1000 records after its beginning long.
fn run() -> Run {
    let (first, last) =
        (look(0, 0.5, 0.25, [[0.9, 0.1], [0.2, 0.8]]), look(120, 0.875, 0.5, [[0.99, 0.01], [0.7, 0.3]]));
    let point = |look: &RunSnapshot| AccuracyPoint { step: look.step, clean: look.clean, robust: look.robust };
    let mut run = Run::default();
    run.info = RunInfo {
        architecture: "wrn-10-1".into(),
        classes: ["cat", "dog"].map(String::from).to_vec(),
        steps: 400,
        batch: 64,
        images: 3200,
        held_out: 64,
        ..RunInfo::default()
    };
    run.config = TrainConfig::demo();
    (run.number, run.step, run.images_per_second, run.memory) = (7, 120, 210.0, 85_000_000);
    run.records = (1..=1000).map(record).collect();
    run.points = vec![point(&first), point(&last)];
    (run.first_snapshot, run.last_snapshot) = (Some(Box::new(first)), Some(Box::new(last)));
    run
}

/// A chart can be drawn and tells itself.
fn drawn(chart: Option<Chart>) -> Chart {
    let chart = chart.unwrap();
    sound(&Figure { caption: chart.description.clone(), charts: vec![chart.clone()] }, 1);
    chart
}

#[test]
fn losses_are_shown_as_they_count() {
    let mut run = run();
    let chart = drawn(training_curves::losses(&run));
    let series: Vec<_> = lines(&chart).iter().map(|(name, _)| *name).collect();
    assert_eq!(series, ["total", "cross-entropy", "1 × distance", "0.005 × R"]);
    let points = lines(&chart)[3].1;
    assert_eq!((points.len(), points[0][0], points[399][0]), (400, 1.0, 1000.0), "thinned, to its ends");
    assert!((points[0][1] - 0.1).abs() < 1e-6, "as it counts");
    assert_eq!(
        chart.description,
        "The loss fell from 1.81 to 0.183 (means of 20 steps). The last step: cross-entropy 0.136, distance 0.5, R 20."
    );
    run.records.iter_mut().for_each(|record| record.loss = 1.2);
    assert!(
        training_curves::loss_change(&run).starts_with("The loss stayed at about 1.2 (means"),
        "{}",
        training_curves::loss_change(&run)
    );
    run.records.truncate(3);
    assert!(training_curves::loss_change(&run).starts_with("The last step: cross-entropy"), "too few to compare");
    for record in &mut run.records {
        (record.distance, record.jacobian) = (None, None);
    }
    assert_eq!(lines(&drawn(training_curves::losses(&run))).len(), 1, "without parts the total says it all");
    drawn(training_curves::rates(&run));
    run.records.clear();
    assert_eq!(
        (training_curves::losses(&run), training_curves::rates(&run), training_curves::loss_change(&run)),
        (None, None, String::new())
    );
}

#[test]
fn accuracies_are_compared_with_the_beginning() {
    let mut run = run();
    let chart = drawn(training_curves::accuracies(&run));
    assert_eq!(lines(&chart)[1], ("robust", &[[0.0, 25.0], [120.0, 50.0]][..]));
    assert_eq!(
        chart.description,
        "Before training: clean accuracy 50 %, robust accuracy 25 %. After step 120: clean accuracy 88 %, robust accuracy 50 %."
    );
    run.points.remove(0);
    assert_eq!(training_curves::accuracy_summary(&run), "After step 120: clean accuracy 88 %, robust accuracy 50 %.");
    run.points.clear();
    assert_eq!((training_curves::accuracies(&run), training_curves::accuracy_summary(&run)), (None, String::new()));
}

#[test]
fn the_image_is_followed_from_before_to_now() {
    let mut run = run();
    let view = training_curves::tracked_image(&run);
    sound(&view, 4);
    assert!(
        view.caption.starts_with(
            "Before training the model predicts cat (90 %), and dog (80 %) for the adversarial image. After step 120 the model \
             predicts cat (99 %), and cat (70 %) for the adversarial image. In the initial model the change grows from 2 % of \
             the pixels"
        ),
        "{}",
        view.caption
    );
    let series: Vec<_> = lines(&view.charts[0]).iter().map(|(name, _)| *name).collect();
    assert_eq!(series, ["at first", "now"]);
    // One look only is now.
    run.last_snapshot = run.first_snapshot.clone();
    let view = training_curves::tracked_image(&run);
    sound(&view, 3);
    assert!(view.caption.contains("In the current model"), "{}", view.caption);
    (run.first_snapshot, run.last_snapshot) = (None, None);
    assert_eq!(training_curves::tracked_image(&run), Figure::default());
}

#[test]
fn the_batch_shows_its_transport_if_it_is_attacked() {
    let mut run = run();
    sound(&training_curves::last_batch(&run), 2);
    run.last_snapshot.as_mut().unwrap().batch.as_mut().unwrap().transport = None;
    assert_eq!(training_curves::last_batch(&run), Figure::default());
    assert_eq!([0, 7].map(|class| training_curves::class_name(&run, class)), ["cat", "class 7"]);
}

#[test]
fn what_a_run_does_is_said_now_and_then() {
    let mut all = Training::default();
    assert!(training_status::status(&all).starts_with("Start a run"));
    assert_eq!((training_status::announcement(&all), training_status::progress(&all)), (String::new(), 0.0));
    all.run = Some(run());
    let says = |all: &Training| (training_status::status(all), training_status::announcement(all));
    let paused = "Paused after step 120 of 400, epoch 3 of 8; 210 images/s, about 85 s left; memory 85 MB.";
    assert_eq!(says(&all), (paused.into(), "The run is paused after step 120.".into()));
    let mut put = |change: &dyn Fn(&mut Run)| {
        all.run.as_mut().map(change);
        says(&all)
    };
    let waits = "Step 120 of 400, epoch 3 of 8; waiting for other computations of the page; memory 85 MB.";
    assert_eq!(put(&|run| run.phase = RunPhase::Running), (waits.into(), "30 % of the run is done.".into()));
    assert_eq!(put(&|run| run.step = 20).1, "The run has started.");
    let (now, said) = put(&|run| (run.phase, run.step) = (RunPhase::Finished, 400));
    assert_eq!((now.as_str(), said.as_str()), ("All 400 steps are done; memory 85 MB.", "The run is finished."));
    let broken = |run: &mut Run| {
        (run.phase, run.diverged, run.step, run.last_saved_step) = (RunPhase::Paused, true, 30, Some(25))
    };
    assert!(put(&broken).0.starts_with("Diverged after step 30 of 400: “Resume” continues from the copy at step 25;"));
    put(&|run| run.diverged = false);
    let slow = |run: &mut Run| (run.phase, run.step, run.images_per_second, run.memory) = (RunPhase::Paused, 0, 1.5, 0);
    assert_eq!(put(&slow).0, "Paused after step 0 of 400, epoch 1 of 8; 1.5 images/s, about 4.7 h left.");
}

#[test]
fn what_is_learnt_from_is_named() {
    let mut state = State::new("").0;
    assert_eq!(training_status::dataset_summary(&state), "The embedded data set of generated shapes, 3200 images.");
    let uploaded = Some(UploadedDataset {
        name: "cifar.tar.gz".into(),
        kind: "cifar10".into(),
        train_images: 50_000,
        test_images: 10_000,
    });
    let labeled = vec![("cat".to_owned(), 2), ("dog".to_owned(), 1)];
    state.training.data = TrainingDataInfo { uploaded, classes: vec![String::new(); 10], labeled };
    (state.permalink.train.dataset, state.permalink.train.limit) = (Dataset::Cifar10, 1000);
    assert_eq!(
        training_status::dataset_summary(&state),
        "cifar.tar.gz: 1000 of 50000 training images, 10000 test images, 10 classes; and yours: 2 cat, 1 dog."
    );
    state.permalink.train.dataset = Dataset::Synthetic;
    assert!(training_status::dataset_summary(&state).starts_with("The embedded data set"));
    let embedded = ("synthetic".to_owned(), "the embedded data set".to_owned());
    let opened = ("cifar10".to_owned(), "cifar.tar.gz".to_owned());
    assert_eq!(training_status::dataset_options(&state), [embedded.clone(), opened.clone()]);
    // An address names a set that is not there.
    state.permalink.train.dataset = Dataset::Cifar100;
    let missing = ("cifar100".to_owned(), "cifar100 (not opened yet)".to_owned());
    assert_eq!(training_status::dataset_options(&state), [embedded, opened, missing]);
    assert!(training_status::dataset_summary(&state).starts_with("cifar100 is not opened yet"));
}

#[test]
fn runs_stand_side_by_side() {
    let mut all = Training::default();
    let mut now = run();
    now.config.coefficients.lambda_sw = 4.0;
    let accuracy = Accuracy { images: 200, clean: 180, robust: 90 };
    let mut past = now.clone();
    all.run = Some(now);
    past.config.objective = Objective::Ce;
    past.evaluation =
        Some(("pgd linf 8/255".into(), Report { accuracy, records: Vec::new(), flags: Vec::new(), part: 1.0 }));
    past.points.pop();
    all.archived = vec![past];
    let [first, second] = &run_table::rows(&all)[..] else { panic!("two runs") };
    let judged = ["pgd linf 8/255, 200 images", "90 % (85 to 93 %)", "45 % (38 to 52 %)"];
    assert_eq!((first[0].as_str(), &first[8..]), ("1 ce", &judged.map(String::from)[..]));
    let words = [
        "2 otjr",
        "wrn-10-1",
        "synthetic, 3200 images",
        "lambda-sw 4",
        "120 of 400, batch size 64",
        "0.182",
        "88 %",
        "50 %",
    ];
    assert_eq!(second[..8], words.map(String::from));
    assert_eq!(second[8..], ["–", "–", "–"].map(String::from));
    assert_eq!(first[3], "–", "ce has no lambda");
    let text = run_table::to_tsv(&all);
    assert_eq!(text.lines().map(|line| line.split('\t').count()).collect::<Vec<_>>(), [COLUMNS.len(); 3]);
    let chart = drawn(run_table::accuracy_chart(&all));
    assert_eq!(chart.description, "Run 2 otjr is the most robust: robust accuracy 50 %.");
    assert_eq!(lines(&chart)[3], ("2 otjr", &[[0.0, 25.0], [120.0, 50.0]][..]));
    let dashed = chart.marks.iter().find(|mark| mark.series == "2 otjr, clean").unwrap();
    assert!(matches!((&dashed.form, dashed.style), (Form::Line(_), SeriesStyle::ClassDashed(1))));
    assert_eq!(
        (run_table::accuracy_chart(&Training::default()), run_table::evaluation_progress(&all)),
        (None, String::new())
    );
}

/// The same controls serve both configs: each setting of training once, by an id that no setting of an attack has.
#[test]
fn training_has_controls_of_its_own() {
    let mut state = State::new("").0;
    let all = all_settings(SettingsGroup::Train);
    let attack: Vec<String> =
        all_settings(SettingsGroup::Attack).iter().map(|s| SettingsGroup::Attack.id(s.key)).collect();
    assert!(all.iter().all(|s| !attack.contains(&SettingsGroup::Train.id(s.key)) && s.key != "dataset"));
    assert!(SettingsGroup::Train.settings().essential.iter().any(|s| s.key == "train-epsilon"));
    assert_eq!(SettingsGroup::Train.get(&state, "batch"), "64");
    assert_eq!(
        SettingsGroup::Train.action("rate", "1".into()),
        UserAction::Train(TrainingAction::Set("rate", "1".into()))
    );
    assert!(SettingsGroup::Train.check("rate", "x").is_err());
    assert!(SettingsGroup::Train.check("rate", "0.3").is_ok());
    for setting in &all {
        let stops = slider_stops::stops(setting, Norm::Linf);
        assert!(
            stops.iter().all(|stop| SettingsGroup::Train.check(setting.key, stop).is_ok()),
            "{}: {stops:?}",
            setting.key
        );
        let small = ["rate", "lambda-jac"].contains(&setting.key);
        assert!(!small || stops.contains(&"0.005".to_owned()), "{}: {stops:?}", setting.key);
    }
    let help = |state: &State, key: &str| {
        let setting = all.iter().find(|s| s.key == key).unwrap();
        SettingsGroup::Train.help(state, setting)
    };
    assert_eq!(help(&state, "batch"), "Batch size.");
    assert!(!SettingsGroup::Train.is_used(&state, "mixed"));
    assert!(help(&state, "mixed").ends_with("Not used on the CPU."));
    state.backend.current = Some((BackendKind::Gpu, "a GPU".into()));
    assert!(SettingsGroup::Train.is_used(&state, "mixed"));
    assert!(!help(&state, "mixed").contains("Not used"));
    assert!(help(&state, "objective").ends_with("(Le et al., 2023)."));
    state.training.run = Some(run());
    assert_eq!(help(&state, "batch"), "Batch size (cannot change during a run).");
    assert_eq!(help(&state, "rate"), "Peak learning rate.");
    state.permalink.train.objective = Objective::Ce;
    assert!(help(&state, "train-steps").ends_with("Not used by ce."));
    state.permalink.init_from = InitFrom::Model(Slot::Robust);
    assert!(!SettingsGroup::Train.is_used(&state, "model"));
    assert!(help(&state, "model").ends_with("starts from a model."));
}
