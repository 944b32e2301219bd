//! Training runs compared: as a table, and as one chart.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, Tone},
        domain::format::{interval, percent, short},
        present::figures::training_curves::percent_points,
        state::{run::Run, training::Training},
    },
    settings::Settings,
    train::TrainConfig,
};

/// The columns of the table.
pub const COLUMNS: [&str; 11] = [
    "Run",
    "Network",
    "Data",
    "Settings of its own",
    "Steps",
    "Loss",
    "Right",
    "Right under attack",
    "Judged by",
    "Judged right (95 % interval)",
    "Judged right under attack (95 % interval)",
];

/// What a run is called: its place among all and its objective.
pub fn title(place: usize, run: &Run) -> String {
    format!("{} {}", place + 1, run.config.objective)
}

/// The settings that are not as the page proposes them, but for those that have columns of their own.
fn changed_settings(config: &TrainConfig) -> String {
    let elsewhere = ["objective", "model", "dataset", "data-dir", "batch"];
    let changed = |usual: TrainConfig| {
        let all = config.pairs().into_iter().filter(|(key, value)| {
            !elsewhere.contains(key) && config.objective.uses(key) && usual.get(key).as_ref() != Some(value)
        });
        all.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>()
    };
    // Phones are proposed the smaller.
    let changed = [TrainConfig::demo(), TrainConfig::small()].map(changed).into_iter().min_by_key(Vec::len);
    changed.filter(|changed| !changed.is_empty()).map_or("–".into(), |changed| changed.join(", "))
}

/// A row a run, oldest first.
pub fn rows(training: &Training) -> Vec<[String; COLUMNS.len()]> {
    let row = |(place, run): (usize, &Run)| {
        let Run { info, config, .. } = run;
        let none = || "–".to_owned();
        let [clean, robust] = match run.points.last() {
            Some(point) => [percent(point.clean), percent(point.robust)],
            None => [none(), none()],
        };
        let judged = match &run.evaluation {
            Some((attack, report)) => {
                let n = report.accuracy.images;
                let shares = report.accuracy.shares();
                let [clean, robust] = shares.map(|s| format!("{} ({})", percent(s as f32), interval(s, n)));
                [format!("{attack}, {n} images"), clean, robust]
            }
            None => [none(), none(), none()],
        };
        let [attack, judged_clean, judged_robust] = judged;
        [
            title(place, run),
            info.architecture.clone(),
            format!("{}, {} images", config.dataset, info.images),
            changed_settings(config),
            format!("{} of {}, {} images each", run.step, info.steps, info.batch),
            run.records.last().map_or_else(none, |record| short(record.loss)),
            clean,
            robust,
            attack,
            judged_clean,
            judged_robust,
        ]
    };
    training.runs().enumerate().map(row).collect()
}

/// The table as text: a line a row, tabs between the cells, as spreadsheets take it.
pub fn to_tsv(training: &Training) -> String {
    let mut text = COLUMNS.join("\t") + "\n";
    for row in rows(training) {
        text += &(row.join("\t") + "\n");
    }
    text
}

/// What is being judged.
pub fn evaluation_progress(training: &Training) -> String {
    let Some(evaluation) = &training.run_evaluation else { return String::new() };
    let Some(number) = evaluation.remaining.first() else { return String::new() };
    let run = training.runs().enumerate().find(|(_, run)| run.number == *number);
    let name = run.map(|(place, run)| title(place, run)).unwrap_or_default();
    let more = match evaluation.remaining.len() - 1 {
        0 => String::new(),
        n => format!("; {n} more to come"),
    };
    format!("Evaluating run {name}{more}.")
}

/// The accuracies of all runs over their steps.
pub fn accuracy_chart(training: &Training) -> Option<Chart> {
    let mut marks = Vec::new();
    for (place, run) in training.runs().enumerate().filter(|(_, run)| !run.points.is_empty()) {
        let (name, robust) = (title(place, run), percent_points(&run.points, |p| p.robust));
        let clean = Form::Line(percent_points(&run.points, |p| p.clean));
        marks.push(Mark::new(&format!("{name}, clean"), Tone::Beside(place), clean));
        let both = [Form::Line(robust.clone()), Form::Points(robust)];
        marks.extend(both.map(|form| Mark::new(&name, Tone::Class(place), form)));
    }
    (!marks.is_empty()).then(|| Chart {
        name: "runs".into(),
        title: "Held-out images right under attack, run beside run; dashed without attack".into(),
        words: best_run(training),
        x: Axis::new("step", "").counts(),
        y: Axis::new("right", "%").least(0.0, 100.0),
        marks,
        ..Chart::default()
    })
}

/// Which run is the most robust.
fn best_run(training: &Training) -> String {
    let last = training.runs().enumerate().filter_map(|(place, run)| Some((place, run, run.points.last()?.robust)));
    let best = last.max_by(|a, b| a.2.total_cmp(&b.2));
    best.map(|(place, run, robust)| {
        format!("Run {} is the most robust: {} right under attack.", title(place, run), percent(robust))
    })
    .unwrap_or_default()
}
