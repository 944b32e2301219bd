//! What a run came to: as a table in the terminal, as Markdown, JSON, a page and an image.

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

/// The result of one objective.
#[derive(Serialize)]
pub struct Outcome {
    pub objective: String,
    pub accuracy: Accuracy,
    /// The same of each class.
    pub classes: Vec<Accuracy>,
    pub attacks: Vec<evaluate::Record>,
    /// What casts doubt on the result, for people.
    pub flags: Vec<String>,
    /// That training took, all sittings together.
    pub seconds: f64,
    pub model: PathBuf,
    /// Of the images that [`shown`] chooses.
    #[serde(skip)]
    pub pairs: Vec<Pair>,
    #[serde(skip)]
    pub log: Vec<train::Record>,
    #[serde(skip)]
    pub validations: Vec<train::validation::Validation>,
}

/// A run that is over, with all that is said of it.
pub struct Report<'a> {
    pub config: &'a TrainConfig,
    pub opened: &'a Opened,
    pub data: &'a Splits,
    pub runs: &'a [Outcome],
}

/// The test images that are shown beside what the attack makes of them: one of a class, of the first classes.
pub fn shown(test: &ImageSet) -> Vec<usize> {
    let first = |label| test.labels.iter().position(|l| usize::from(*l) == label);
    (0..test.classes.len()).filter_map(first).take(6).collect()
}

/// What the models are judged by: `PGD-20 8/255`.
pub fn attack() -> String {
    let attack = AttackConfig::default();
    format!("PGD-{} {}", attack.steps, attack.get("epsilon").unwrap_or_default())
}

impl Report<'_> {
    pub fn title(&self) -> String {
        format!("{} on {}", self.config.model, self.config.dataset)
    }

    /// How it came about, in a line.
    pub fn about(&self) -> String {
        let TrainConfig { epochs, batch, seed, .. } = self.config;
        let (device, images) = (&self.opened.name, self.data.test.len());
        format!("{epochs} epochs, batch {batch}, seed {seed}, {device}; accuracy on {images} test images.")
    }

    /// Prints what was found, and writes it into the run's directory.
    pub fn write(&self, out: &Path, console: Console) -> anyhow::Result<()> {
        let mut table = format!("| objective | clean | {} | training |\n|---|---:|---:|---:|\n", attack());
        for run in self.runs {
            let [clean, robust] = run.accuracy.shares().map(|share| 100.0 * share);
            table += &format!("| {} | {clean:.1} % | {robust:.1} % | {:.0} s |\n", run.objective, run.seconds);
        }
        console.say(format_args!("\n{table}"));
        let [md, html, json, svg] =
            ["report.md", "report.html", "report.json", "curves.svg"].map(|name| out.join(name));
        let text = format!("# {}\n\n{}\n\n{table}\n![curves](curves.svg)\n", self.title(), self.about());
        files::write(&md, text.as_bytes())?;
        files::write(&html, html::page(self)?.into_string().as_bytes())?;
        files::write(&json, serde_json::to_string_pretty(self.runs)?.as_bytes())?;
        files::write(&svg, plot::curves(self.runs)?.as_bytes())?;
        for run in self.runs {
            console.say(format_args!("{} (opens in the page)", run.model.display()));
        }
        println!("Written: {}, {}, {}", html.display(), md.display(), svg.display());
        Ok(())
    }
}
