//! Results as tables in the terminal, as Markdown, JSON and CSV, and as a chart.

use std::path::Path;

use otjr::{
    data::{Corruption, ImageSet, corruption::SEVERITIES},
    evaluate::{Tally, View, wilson},
    platform::Opened,
};
use otjr_cli::{evaluation::model_file::LoadedModel, files};
use serde::Serialize;

use crate::{
    cli::Plan,
    plot::{self, Bar},
};

/// Results of all models in all tests.
#[derive(Serialize)]
pub struct Report<'a> {
    device: String,
    dataset: &'a str,
    #[serde(rename = "pictures")]
    images: usize,
    epsilon: &'a str,
    seed: &'a str,
    models: Vec<ModelReport>,
    #[serde(skip)]
    tests: &'a [String],
}

#[derive(Serialize)]
struct ModelReport {
    /// Unique short name.
    name: String,
    /// Path of its file.
    model: String,
    architecture: String,
    scores: Vec<Score>,
    flags: Vec<String>,
}

/// Results of one model in one test.
pub struct TestResult {
    /// The accuracy over everything first, then those of parts of the test.
    pub scores: Vec<Score>,
    /// Warnings.
    pub flags: Vec<String>,
}

/// An accuracy in [0,1].
#[derive(Serialize)]
pub struct Score {
    test: String,
    /// The corruption; `None` for the mean over all.
    corruption: Option<&'static str>,
    /// The severity; `None` for the mean over all.
    severity: Option<usize>,
    accuracy: f64,
    /// 95 % confidence interval.
    interval: [f64; 2],
}

/// A row of a table: one accuracy of each model.
pub struct Row<'a> {
    /// First cell.
    name: String,
    test: &'a str,
    corruption: Option<Corruption>,
    severity: Option<usize>,
}

impl<'a> Row<'a> {
    /// Returns the row with the accuracy over the whole test.
    pub fn of_test(test: &'a str) -> Self {
        Self { name: test.to_owned(), test, corruption: None, severity: None }
    }
}

impl Score {
    /// Creates a score. `images` determines the interval.
    pub fn new(row: &Row, accuracy: f64, images: usize) -> Self {
        Self {
            test: row.test.to_owned(),
            corruption: row.corruption.map(Corruption::name),
            severity: row.severity,
            accuracy,
            interval: wilson(accuracy, images),
        }
    }

    /// Returns for example `95.60 % (93.42 to 97.10)`.
    pub fn text(&self) -> String {
        let [low, high] = self.interval.map(|end| 100.0 * end);
        format!("{:.2} % ({low:.2} to {high:.2})", 100.0 * self.accuracy)
    }
}

/// Returns the accuracies of a finished tally of `images` images: over all views first, then for each corruption and
/// each of its severities.
pub fn scores(test: &str, views: &[View], tally: &Tally, images: usize) -> Vec<Score> {
    let score = |corruption: Option<Corruption>, severity: Option<usize>| {
        let included = |view: &View| match (corruption, *view) {
            (Some(kind), View::Corrupted(other, strength)) => kind == other && severity.is_none_or(|s| s == strength),
            (kind, _) => kind.is_none(),
        };
        let right: Vec<usize> = views.iter().zip(&tally.right).filter(|(v, _)| included(v)).map(|(_, n)| *n).collect();
        let accuracy = right.iter().sum::<usize>() as f64 / (right.len() * images) as f64;
        Score::new(&Row { corruption, severity, ..Row::of_test(test) }, accuracy, images)
    };
    let mut scores = vec![score(None, None)];
    for view in views {
        if let View::Corrupted(kind, severity) = *view {
            if severity == 1 {
                scores.push(score(Some(kind), None));
            }
            scores.push(score(Some(kind), Some(severity)));
        }
    }
    scores
}

impl<'a> Report<'a> {
    /// Creates a report without results.
    pub fn new(plan: &'a Plan, images: &ImageSet, opened: &Opened, models: &[LoadedModel]) -> Self {
        let mut reports = Vec::new();
        for ((name, path), LoadedModel { model, .. }) in plan.run.names().into_iter().zip(&plan.run.models).zip(models)
        {
            reports.push(ModelReport {
                name,
                model: path.clone(),
                architecture: model.architecture.to_string(),
                scores: Vec::new(),
                flags: Vec::new(),
            });
        }
        Self {
            device: opened.name.clone(),
            dataset: &plan.run.dataset,
            images: images.len(),
            epsilon: &plan.epsilon,
            seed: &plan.seed,
            models: reports,
            tests: &plan.tests,
        }
    }

    /// Adds results of the model with this number.
    pub fn add(&mut self, number: usize, result: TestResult) {
        self.models[number].scores.extend(result.scores);
        self.models[number].flags.extend(result.flags);
    }

    /// Prints the tables, writes all files and prints their paths.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let about = self.about();
        let mut summary = self.table("test", &self.tests());
        let corruptions = self.corruptions();
        if !corruptions.is_empty() {
            summary += &format!("\n{}", self.table("corruption, mean over severities", &corruptions));
        }
        let mut flags = String::new();
        for model in &self.models {
            for flag in &model.flags {
                flags += &format!("! {}, {flag}\n", model.name);
            }
        }
        println!("\n{about}\n\n{summary}\n{flags}");
        let mut report =
            format!("# Comparison of models\n\n{about}\n\n{summary}\n{flags}\n![accuracies](accuracy.svg)\n");
        for Row { name, test, corruption, .. } in corruptions {
            let row = |severity: usize| Row { name: severity.to_string(), test, corruption, severity: Some(severity) };
            let rows: Vec<Row> = (1..=SEVERITIES).map(row).collect();
            report += &format!("\n## {name}\n\n{}", self.table("severity", &rows));
        }
        let files = [
            (out.join("report.md"), report.into_bytes()),
            (out.join("report.json"), serde_json::to_vec_pretty(self)?),
            (out.join("report.csv"), self.csv().into_bytes()),
            (out.join("accuracy.svg"), plot::accuracies(&self.panels())?.into_bytes()),
        ];
        println!("Written: {}", files::write_all(&files)?);
        Ok(())
    }

    /// Describes how the accuracies were measured.
    fn about(&self) -> String {
        format!(
            "{} images of {}, {}; attacks in L-inf {}, PGD with step size epsilon / 4 from one random start; seed {}.\n\
             Accuracies with 95 % confidence intervals (Wilson). The intervals of means over corruptions count each image \
             once, so they are wider than necessary.\n\
             Corruptions are generated with the severities of CIFAR-10-C; they are not its files.",
            self.images, self.dataset, self.device, self.epsilon, self.seed
        )
    }

    fn tests(&self) -> Vec<Row<'_>> {
        self.tests.iter().map(|test| Row::of_test(test)).collect()
    }

    /// Returns a row for each corruption (mean over its severities) if corruptions were tested.
    fn corruptions(&self) -> Vec<Row<'a>> {
        let Some(test) = self.tests.iter().find(|test| *test == "corruptions") else { return Vec::new() };
        let row =
            |kind: &Corruption| Row { name: kind.name().to_owned(), test, corruption: Some(*kind), severity: None };
        Corruption::ALL.iter().map(row).collect()
    }

    /// Returns the score of each model in a row.
    fn row(&self, row: &Row) -> Vec<&Score> {
        let corruption = row.corruption.map(Corruption::name);
        let wanted = |s: &&Score| s.test == row.test && s.corruption == corruption && s.severity == row.severity;
        self.models.iter().filter_map(|model| model.scores.iter().find(wanted)).collect()
    }

    /// Returns a Markdown table with a column for each model.
    fn table(&self, head: &str, rows: &[Row]) -> String {
        let names: Vec<String> = self.models.iter().map(|m| format!("{} ({})", m.name, m.architecture)).collect();
        let mut table = format!("| {head} | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(names.len()));
        for row in rows {
            let cells: Vec<String> = self.row(row).into_iter().map(Score::text).collect();
            table += &format!("| {} | {} |\n", row.name, cells.join(" | "));
        }
        table
    }

    fn csv(&self) -> String {
        let mut csv = "model,test,corruption,severity,images,accuracy,low,high\n".to_owned();
        for model in &self.models {
            let name = model.name.replace('"', "\"\"");
            for Score { test, corruption, severity, accuracy, interval: [low, high] } in &model.scores {
                let severity = severity.map(|s| s.to_string()).unwrap_or_default();
                let (corruption, n) = (corruption.unwrap_or_default(), self.images);
                csv += &format!("\"{name}\",{test},{corruption},{severity},{n},{accuracy},{low},{high}\n");
            }
        }
        csv
    }

    fn panels(&self) -> Vec<plot::Panel> {
        let mut panels = Vec::new();
        let titles = ["Accuracy, % of images", "Under corruptions, mean over severities"];
        for (title, rows) in titles.into_iter().zip([self.tests(), self.corruptions()]) {
            if rows.is_empty() {
                continue;
            }
            let bar = |score: &&Score| Bar { accuracy: score.accuracy, interval: score.interval };
            let group =
                |row: &Row| plot::Group { name: row.name.clone(), bars: self.row(row).iter().map(bar).collect() };
            panels.push(plot::Panel {
                title: title.into(),
                models: self.models.iter().map(|m| m.name.clone()).collect(),
                groups: rows.iter().map(group).collect(),
            });
        }
        panels
    }
}
