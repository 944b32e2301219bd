//! What was found: as a table in the terminal, as Markdown, JSON, CSV and an image.

use std::path::Path;

use otjr::{
    data::{Corruption, ImageSet, corruption::SEVERITIES},
    evaluate::{Tally, View, wilson},
    model::Model,
    platform::Opened,
};
use serde::Serialize;

use otjr_cli::files;

use crate::{cli::Plan, plot};

#[derive(Serialize)]
pub struct Report<'a> {
    device: String,
    dataset: &'a str,
    #[serde(rename = "images")]
    images: usize,
    epsilon: &'a str,
    seed: &'a str,
    models: Vec<ModelReport>,
    #[serde(skip)]
    tests: &'a [String],
}

#[derive(Serialize)]
struct ModelReport {
    /// For people; no two are alike.
    name: String,
    /// Its file.
    model: String,
    architecture: String,
    scores: Vec<Score>,
    flags: Vec<String>,
}

/// An accuracy; shares in [0,1].
#[derive(Serialize)]
pub struct Score {
    test: String,
    /// Of corruptions: one of them, else the mean of all.
    corruption: Option<&'static str>,
    /// Else the mean of all.
    severity: Option<usize>,
    accuracy: f64,
    /// At 95 %.
    interval: [f64; 2],
}

impl Score {
    pub fn new(
        test: &str,
        corruption: Option<Corruption>,
        severity: Option<usize>,
        accuracy: f64,
        images: usize,
    ) -> Self {
        let corruption = corruption.map(Corruption::name);
        Self { test: test.into(), corruption, severity, accuracy, interval: wilson(accuracy, images) }
    }

    /// `95.60 % (93.42 to 97.10)`.
    pub fn shown(&self) -> String {
        let [low, high] = self.interval.map(|end| 100.0 * end);
        format!("{:.2} % ({low:.2} to {high:.2})", 100.0 * self.accuracy)
    }
}

/// The accuracies of a finished tally of `images` images: of everything first, then of each corruption and each of its
/// severities.
pub fn scores(test: &str, views: &[View], tally: &Tally, images: usize) -> Vec<Score> {
    let score = |corruption: Option<Corruption>, severity: Option<usize>| {
        let within = |view: &View| match (corruption, *view) {
            (Some(kind), View::Corrupted(other, strength)) => kind == other && severity.is_none_or(|s| s == strength),
            (kind, _) => kind.is_none(),
        };
        let right: Vec<usize> = views.iter().zip(&tally.right).filter(|(v, _)| within(v)).map(|(_, n)| *n).collect();
        let accuracy = right.iter().sum::<usize>() as f64 / (right.len() * images) as f64;
        Score::new(test, corruption, severity, accuracy, images)
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

/// Which accuracy of each model: its name for people, the test, the corruption, the severity.
type Row<'a> = (String, &'a str, Option<Corruption>, Option<usize>);

impl<'a> Report<'a> {
    pub fn new(plan: &'a Plan, set: &ImageSet, opened: &Opened, models: impl Iterator<Item = &'a Model>) -> Self {
        let model = |((name, file), model): ((String, &String), &Model)| ModelReport {
            name,
            model: file.clone(),
            architecture: model.architecture.to_string(),
            scores: Vec::new(),
            flags: Vec::new(),
        };
        Self {
            device: opened.name.clone(),
            dataset: &plan.setup.dataset,
            images: set.len(),
            epsilon: &plan.epsilon,
            seed: &plan.seed,
            models: plan.setup.names().into_iter().zip(&plan.setup.models).zip(models).map(model).collect(),
            tests: &plan.tests,
        }
    }

    /// Adds what was found of the model with this number.
    pub fn add(&mut self, number: usize, scores: Vec<Score>, flags: Vec<String>) {
        self.models[number].scores.extend(scores);
        self.models[number].flags.extend(flags);
    }

    /// Prints the tables, writes all files and says which.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let about = format!(
            "{} images of {}, {}; attacks in L-inf {}, PGD in steps of a quarter of that from one random start; seed {}.\n\
             Accuracy, and where it lies with 95 % confidence (Wilson); a mean over corruptions is taken as if of one \
             look at each image, which is cautious.\n\
             Corruptions are made here with CIFAR-10-C's severities; they are not its files.",
            self.images, self.dataset, self.device, self.epsilon, self.seed
        );
        let results = self.table("test", &self.tests());
        let kinds = self.kinds();
        let summary = if kinds.is_empty() {
            results
        } else {
            format!("{results}\n{}", self.table("corruption, mean of its severities", &kinds))
        };
        let flag = |m: &ModelReport| m.flags.iter().map(|flag| format!("! {}, {flag}\n", m.name)).collect::<String>();
        let flags: String = self.models.iter().map(flag).collect();
        println!("\n{about}\n\n{summary}\n{flags}");
        let mut report =
            format!("# Models side by side\n\n{about}\n\n{summary}\n{flags}\n![accuracies](accuracy.svg)\n");
        for (name, test, kind, _) in kinds {
            let severity = |severity: usize| (severity.to_string(), test, kind, Some(severity));
            let rows: Vec<Row> = (1..=SEVERITIES).map(severity).collect();
            report += &format!("\n## {name}\n\n{}", self.table("severity", &rows));
        }
        let files = [
            ("report.md", report),
            ("report.json", serde_json::to_string_pretty(self)?),
            ("report.csv", self.csv()),
            ("accuracy.svg", plot::accuracies(&self.panels())?),
        ];
        let mut written = Vec::new();
        for (name, text) in files {
            let path = out.join(name);
            files::write(&path, text.as_bytes())?;
            written.push(path.display().to_string());
        }
        println!("Written: {}", written.join(", "));
        Ok(())
    }

    fn tests(&self) -> Vec<Row<'_>> {
        self.tests.iter().map(|test| (test.clone(), test.as_str(), None, None)).collect()
    }

    /// The means of each corruption, if there are any.
    fn kinds(&self) -> Vec<Row<'_>> {
        let test = self.tests.iter().find(|test| *test == "corruptions");
        let rows = |test: &'a String| {
            Corruption::ALL.iter().map(move |&kind| (kind.name().to_owned(), test.as_str(), Some(kind), None))
        };
        test.into_iter().flat_map(rows).collect()
    }

    /// What each model has in a row.
    fn row(&self, (_, test, corruption, severity): &Row) -> Vec<&Score> {
        let corruption = corruption.map(Corruption::name);
        let wanted = |s: &&Score| s.test == *test && s.corruption == corruption && s.severity == *severity;
        self.models.iter().filter_map(|model| model.scores.iter().find(wanted)).collect()
    }

    /// Models side by side.
    fn table(&self, head: &str, rows: &[Row]) -> String {
        let names: Vec<String> = self.models.iter().map(|m| format!("{} ({})", m.name, m.architecture)).collect();
        let mut table = format!("| {head} | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(names.len()));
        for row in rows {
            let cells: Vec<String> = self.row(row).into_iter().map(Score::shown).collect();
            table += &format!("| {} | {} |\n", row.0, cells.join(" | "));
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
        let names = || self.models.iter().map(|m| m.name.clone()).collect();
        let group = |row: &Row| plot::Group {
            name: row.0.clone(),
            bars: self.row(row).iter().map(|s| (s.accuracy, s.interval)).collect(),
        };
        let panel = |title: &str, rows: Vec<Row>| plot::Panel {
            title: title.into(),
            models: names(),
            groups: rows.iter().map(group).collect(),
        };
        let panels = [("Accuracy, % of images", self.tests()), ("Under corruptions, mean of severities", self.kinds())];
        panels.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(title, rows)| panel(title, rows)).collect()
    }
}
