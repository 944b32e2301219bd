//! Results as a table in the terminal, as Markdown and JSON, and as a chart.

use std::path::Path;

use otjr::{
    data::ImageSet,
    evaluate::{Accuracy, State},
    model::Model,
    platform::Opened,
};
use serde::Serialize;

use otjr_cli::files;

use crate::{
    cli::Plan,
    epsilon_text,
    plot::{self, Curve},
};

/// Results of all models at all radii.
#[derive(Serialize)]
pub struct Report<'a> {
    device: String,
    dataset: &'a str,
    #[serde(rename = "pictures")]
    images: usize,
    norm: String,
    attack: String,
    settings: String,
    models: Vec<ModelReport>,
    #[serde(skip)]
    data: &'a ImageSet,
    #[serde(skip)]
    plan: &'a Plan,
    #[serde(skip)]
    text: String,
    /// Bytes of the file that `--save` names.
    #[serde(skip)]
    adversarial: Vec<u8>,
}

#[derive(Serialize)]
struct ModelReport {
    /// Unique short name.
    name: String,
    /// Path of its file.
    model: String,
    architecture: String,
    results: Vec<Result>,
}

/// Results of one model at one radius. Accuracies are in [0,1].
#[derive(Serialize)]
struct Result {
    epsilon: f32,
    clean: f64,
    robust: f64,
    seconds: f64,
    attacks: Vec<AttackResult>,
    flags: Vec<String>,
    classes: Vec<ClassResult>,
}

#[derive(Serialize)]
struct AttackResult {
    name: String,
    /// Robust accuracy after this attack and the previous ones.
    accuracy: f64,
    seconds: f64,
    forwards: u64,
    gradients: u64,
}

#[derive(Serialize)]
struct ClassResult {
    name: String,
    #[serde(rename = "pictures")]
    images: usize,
    clean: f64,
    robust: f64,
}

/// A finished evaluation.
pub struct Outcome<'a> {
    pub epsilon: f32,
    pub state: &'a State,
}

impl<'a> Report<'a> {
    pub fn new(plan: &'a Plan, data: &'a ImageSet, opened: &Opened) -> Self {
        Self {
            device: opened.name.clone(),
            dataset: &plan.run.dataset,
            images: data.len(),
            norm: plan.norm.clone(),
            attack: plan.attacks.join(","),
            settings: plan.description(),
            models: Vec::new(),
            data,
            plan,
            text: String::new(),
            adversarial: Vec::new(),
        }
    }

    /// Adds and prints the results of the model with this number in the plan. Models must be added in order.
    pub fn add(&mut self, number: usize, model: &Model, outcome: Outcome) {
        let result = self.result(&outcome);
        let name = self.plan.run.names().swap_remove(number);
        let heading = format!(
            "{name} ({}), {} {}, {} images",
            model.architecture,
            self.norm,
            epsilon_text(outcome.epsilon),
            self.images
        );
        let table = result.table();
        println!("\n{heading}\n{table}");
        self.text += &format!("## {heading}\n\n```text\n{table}```\n\n");
        if self.plan.save.is_some() {
            self.adversarial = outcome.state.to_checkpoint(self.data).to_bytes();
        }
        match self.models.get_mut(number) {
            Some(model) => model.results.push(result),
            None => self.models.push(ModelReport {
                name,
                model: self.plan.run.models[number].clone(),
                architecture: model.architecture.to_string(),
                results: vec![result],
            }),
        }
    }

    fn result(&self, Outcome { epsilon, state }: &Outcome) -> Result {
        let n = self.data.len() as f64;
        let [clean, robust] = state.accuracy().shares();
        let class = |(name, accuracy): (&String, Accuracy)| {
            let [clean, robust] = accuracy.shares();
            ClassResult { name: name.clone(), images: accuracy.images, clean, robust }
        };
        Result {
            epsilon: *epsilon,
            clean,
            robust,
            seconds: state.records.iter().map(|r| r.seconds).sum(),
            attacks: (state.records.iter())
                .map(|r| AttackResult {
                    name: r.name.clone(),
                    accuracy: r.after as f64 / n,
                    seconds: r.seconds,
                    forwards: r.queries[0],
                    gradients: r.queries[1],
                })
                .collect(),
            flags: state.flags.iter().map(ToString::to_string).collect(),
            classes: self.data.classes.iter().zip(state.by_class(self.data)).map(class).collect(),
        }
    }

    /// Writes all files and prints their paths.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let about = format!(
            "# {} on {}\n\n{} images, {}, {}{}. Accuracies are in percent of all images, after each attack and the previous ones.\n\n",
            self.attack,
            self.dataset,
            self.images,
            self.norm,
            self.device,
            if self.settings.is_empty() { String::new() } else { format!(", {}", self.settings) }
        );
        let json = serde_json::to_string_pretty(self)?;
        let mut written = vec![
            (out.join("report.md"), format!("{about}{}![accuracy](accuracy.png)\n", self.text).into_bytes()),
            (out.join("report.json"), json.clone().into_bytes()),
            (out.join("accuracy.png"), plot::accuracy(&self.norm, &self.curves())?),
        ];
        if let Some(path) = &self.plan.json {
            written.push((path.clone(), json.into_bytes()));
        }
        if let Some(path) = &self.plan.save {
            written.push((path.clone(), self.adversarial.clone()));
        }
        println!("\nWritten: {}", files::write_all(&written)?);
        println!("         {}/adversarial-*.safetensors (the images)", out.display());
        Ok(())
    }

    /// Returns the accuracy of each model against the radius. Radius 0 is the clean accuracy.
    fn curves(&self) -> Vec<Curve> {
        let curve = |m: &ModelReport| {
            let clean = m.results.first().map(|r| (0.0, r.clean));
            let mut points: Vec<(f32, f64)> =
                clean.into_iter().chain(m.results.iter().map(|r| (r.epsilon, r.robust))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Curve { model: m.name.clone(), points }
        };
        self.models.iter().map(curve).collect()
    }
}

impl Result {
    fn table(&self) -> String {
        let percent = |share: f64| format!("{:6.2} %", 100.0 * share);
        let mut text = format!("  {:<14} {}\n", "clean", percent(self.clean));
        for attack in &self.attacks {
            let cost = format!("{} forward passes, {} gradients", attack.forwards, attack.gradients);
            text += &format!("  {:<14} {} {:>9.1} s   {cost}\n", attack.name, percent(attack.accuracy), attack.seconds);
        }
        text += &format!("  {:<14} {} {:>9.1} s\n\n", "robust", percent(self.robust), self.seconds);
        let width = self.classes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max(12);
        text += &format!("  {:<width$} {:>8} {:>9} {:>9}\n", "class", "images", "clean", "robust");
        for class in &self.classes {
            let (clean, robust) = (percent(class.clean), percent(class.robust));
            text += &format!("  {:<width$} {:>8} {clean:>9} {robust:>9}\n", class.name, class.images);
        }
        for flag in &self.flags {
            text += &format!("  ! {flag}\n");
        }
        text
    }
}
