//! Training runs compared: as a table, and as one chart.

use crate::{
    app::{
        chart::{Axis, Chart, Form, Mark, SeriesStyle},
        domain::format::{interval, percent, short},
        present::figures::training_curves::percent_points,
        state::{run::Run, training::Training},
    },
    settings::Settings,
    train::TrainConfig,
};

/// The columns of the table. The held-out accuracies are those of the last snapshot of a run.
pub const COLUMNS: [&str; 11] = [
    "Run",
    "Network",
    "Data",
    "Changed settings",
    "Steps",
    "Loss",
    "Clean accuracy",
    "Robust accuracy",
    "Evaluated with",
    "Evaluated clean accuracy (95 % interval)",
    "Evaluated robust accuracy (95 % interval)",
];

/// Settings that have a column of their own or do not affect the result.
const OTHER_COLUMNS: [&str; 5] = ["objective", "model", "dataset", "data-dir", "batch"];

/// Stands for a missing value.
const NONE: &str = "–";

/// The name of a run: its number in the table, from 1, and its objective.
pub fn title(index: usize, run: &Run) -> String {
    format!("{} {}", index + 1, run.config.objective)
}

/// The settings that differ from the defaults. Low-end devices have other defaults, so the shorter list is used.
fn changed_settings(config: &TrainConfig) -> String {
    let changes = [TrainConfig::demo(), TrainConfig::small()].map(|defaults| {
        let mut changed = Vec::new();
        for (key, value) in config.pairs() {
            let is_default = defaults.get(key).as_ref() == Some(&value);
            if !is_default && !OTHER_COLUMNS.contains(&key) && config.objective.uses(key) {
                changed.push(format!("{key} {value}"));
            }
        }
        changed
    });
    let shortest = changes.into_iter().min_by_key(Vec::len).unwrap_or_default();
    if shortest.is_empty() { NONE.into() } else { shortest.join(", ") }
}

/// One row for each run, oldest first.
pub fn rows(training: &Training) -> Vec<[String; COLUMNS.len()]> {
    training.runs().enumerate().map(|(index, run)| row(index, run)).collect()
}

fn row(index: usize, run: &Run) -> [String; COLUMNS.len()] {
    let Run { info, config, .. } = run;
    let [clean, robust] = match run.points.last() {
        Some(point) => [percent(point.clean), percent(point.robust)],
        None => [NONE, NONE].map(String::from),
    };
    let [attack, evaluated_clean, evaluated_robust] = match &run.evaluation {
        Some((attack, report)) => {
            let images = report.accuracy.images;
            let [clean, robust] = report.accuracy.shares();
            let with_interval = |share: f64| format!("{} ({})", percent(share as f32), interval(share, images));
            [format!("{attack}, {images} images"), with_interval(clean), with_interval(robust)]
        }
        None => [NONE, NONE, NONE].map(String::from),
    };
    [
        title(index, run),
        info.architecture.clone(),
        format!("{}, {} images", config.dataset, info.images),
        changed_settings(config),
        format!("{} of {}, batch size {}", run.step, info.steps, info.batch),
        run.records.last().map_or_else(|| NONE.into(), |record| short(record.loss)),
        clean,
        robust,
        attack,
        evaluated_clean,
        evaluated_robust,
    ]
}

/// The table as tab-separated values, for spreadsheets.
pub fn to_tsv(training: &Training) -> String {
    let mut text = COLUMNS.join("\t") + "\n";
    for row in rows(training) {
        text += &(row.join("\t") + "\n");
    }
    text
}

/// The run that is being evaluated; empty if none is.
pub fn evaluation_progress(training: &Training) -> String {
    let Some(evaluation) = &training.run_evaluation else { return String::new() };
    let Some(number) = evaluation.remaining.first() else { return String::new() };
    let run = training.runs().enumerate().find(|(_, run)| run.number == *number);
    let name = run.map(|(index, run)| title(index, run)).unwrap_or_default();
    let more = match evaluation.remaining.len() - 1 {
        0 => String::new(),
        remaining => format!("; {remaining} more to evaluate"),
    };
    format!("Evaluating run {name}{more}.")
}

/// The held-out accuracies of all runs over their steps; `None` before the first snapshot.
pub fn accuracy_chart(training: &Training) -> Option<Chart> {
    let mut marks = Vec::new();
    for (index, run) in training.runs().enumerate().filter(|(_, run)| !run.points.is_empty()) {
        let name = title(index, run);
        let clean = percent_points(&run.points, |point| point.clean);
        let robust = percent_points(&run.points, |point| point.robust);
        marks.push(Mark::new(&format!("{name}, clean"), SeriesStyle::ClassDashed(index), Form::Line(clean)));
        marks.push(Mark::new(&name, SeriesStyle::Class(index), Form::Line(robust.clone())));
        marks.push(Mark::new(&name, SeriesStyle::Class(index), Form::Points(robust)));
    }
    if marks.is_empty() {
        return None;
    }
    Some(Chart {
        name: "runs".into(),
        title: "Robust accuracy of each run on held-out images; clean accuracy dashed".into(),
        description: most_robust_run(training),
        x: Axis::new("step", "").integer(),
        y: Axis::new("accuracy", "%").including(0.0, 100.0),
        marks,
        ..Chart::default()
    })
}

fn most_robust_run(training: &Training) -> String {
    let mut best: Option<(String, f32)> = None;
    for (index, run) in training.runs().enumerate() {
        let Some(point) = run.points.last() else { continue };
        if best.as_ref().is_none_or(|(_, robust)| point.robust.total_cmp(robust).is_ge()) {
            best = Some((title(index, run), point.robust));
        }
    }
    match best {
        Some((title, robust)) => format!("Run {title} is the most robust: robust accuracy {}.", percent(robust)),
        None => String::new(),
    }
}
