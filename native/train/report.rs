//! Results of a run as a table in the terminal, as Markdown, JSON and HTML, and as a chart.

use std::path::{Path, PathBuf};

use otjr::{
    attack::AttackConfig,
    data::{ImageSet, Splits},
    evaluate::{self, Accuracy, Pair},
    platform::Opened,
    settings::Settings,
    train::{self, TrainConfig},
};
use serde::Serialize;

use otjr_cli::{console::Console, files};

use crate::{html, plot};

/// Results of one objective.
#[derive(Serialize)]
pub struct Outcome {
    pub objective: String,
    pub accuracy: Accuracy,
    /// Accuracy of each class.
    pub classes: Vec<Accuracy>,
    pub attacks: Vec<evaluate::Record>,
    /// Warnings.
    pub flags: Vec<String>,
    /// Training time of all sessions.
    pub seconds: f64,
    pub model: PathBuf,
    /// Adversarial images of [`example_images`].
    #[serde(skip)]
    pub pairs: Vec<Pair>,
    #[serde(skip)]
    pub log: Vec<train::Record>,
    #[serde(skip)]
    pub validations: Vec<train::validation::Validation>,
}

/// Everything that the report of a finished run contains.
pub struct Report<'a> {
    pub config: &'a TrainConfig,
    pub opened: &'a Opened,
    pub data: &'a Splits,
    pub runs: &'a [Outcome],
}

/// Returns the indices of the test images that the report shows: the first image of each of the first six classes.
pub fn example_images(test: &ImageSet) -> Vec<usize> {
    let first = |label| test.labels.iter().position(|l| usize::from(*l) == label);
    (0..test.classes.len()).filter_map(first).take(6).collect()
}

/// Returns the name of the attack: `PGD-20 8/255`.
pub fn attack_name() -> String {
    let attack = AttackConfig::default();
    format!("PGD-{} {}", attack.steps, attack.get("epsilon").unwrap_or_default())
}

impl Report<'_> {
    /// Returns the network and the data set.
    pub fn title(&self) -> String {
        format!("{} on {}", self.config.model, self.config.dataset)
    }

    /// Returns one line about settings, device and test images.
    pub fn about(&self) -> String {
        let TrainConfig { epochs, batch, seed, .. } = self.config;
        let (device, images) = (&self.opened.name, self.data.test.len());
        format!("{epochs} epochs, batch {batch}, seed {seed}, {device}; accuracy on {images} test images.")
    }

    /// Prints the results and writes all files to the run's directory.
    pub fn write(&self, out: &Path, console: Console) -> anyhow::Result<()> {
        let mut table = format!("| objective | clean | {} | training |\n|---|---:|---:|---:|\n", attack_name());
        for run in self.runs {
            let [clean, robust] = run.accuracy.shares().map(|share| 100.0 * share);
            table += &format!("| {} | {clean:.1} % | {robust:.1} % | {:.0} s |\n", run.objective, run.seconds);
        }
        console.print(format_args!("\n{table}"));
        let [md, html, json, svg] =
            ["report.md", "report.html", "report.json", "curves.svg"].map(|name| out.join(name));
        let text = format!("# {}\n\n{}\n\n{table}\n![curves](curves.svg)\n", self.title(), self.about());
        files::write(&md, text.as_bytes())?;
        files::write(&html, html::page(self)?.into_string().as_bytes())?;
        files::write(&json, serde_json::to_string_pretty(self.runs)?.as_bytes())?;
        files::write(&svg, plot::curves(self.runs)?.as_bytes())?;
        for run in self.runs {
            console.print(format_args!("{} (opens in the page)", run.model.display()));
        }
        println!("Written: {}, {}, {}", html.display(), md.display(), svg.display());
        Ok(())
    }
}
