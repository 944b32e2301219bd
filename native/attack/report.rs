//! What was found: as a table in the terminal, as Markdown, JSON and an image.

use std::path::Path;

use otjr::{
    data::ImageSet,
    evaluate::{Accuracy, State},
    model::Model,
    platform::Opened,
};
use serde::Serialize;

use otjr_cli::files;

use crate::{cli::Plan, plot, shown};

#[derive(Serialize)]
pub struct Report<'a> {
    device: String,
    dataset: &'a str,
    #[serde(rename = "images")]
    images: usize,
    norm: String,
    attack: String,
    settings: String,
    models: Vec<ModelReport>,
    #[serde(skip)]
    set: &'a ImageSet,
    #[serde(skip)]
    plan: &'a Plan,
    #[serde(skip)]
    text: String,
    /// What `--save` takes.
    #[serde(skip)]
    adversarial: Vec<u8>,
}

#[derive(Serialize)]
struct ModelReport {
    /// For people; no two are alike.
    name: String,
    /// Its file.
    model: String,
    architecture: String,
    results: Vec<Result>,
}

/// One model against one radius; accuracies are shares in [0,1].
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
    /// After it and all before it.
    accuracy: f64,
    seconds: f64,
    forwards: u64,
    gradients: u64,
}

#[derive(Serialize)]
struct ClassResult {
    name: String,
    #[serde(rename = "images")]
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
    pub fn new(plan: &'a Plan, set: &'a ImageSet, opened: &Opened) -> Self {
        Self {
            device: opened.name.clone(),
            dataset: &plan.setup.dataset,
            images: set.len(),
            norm: plan.norm.clone(),
            attack: plan.attacks.join(","),
            settings: plan.described(),
            models: Vec::new(),
            set,
            plan,
            text: String::new(),
            adversarial: Vec::new(),
        }
    }

    /// Adds an outcome of the model with this number in the plan, which come in order, and prints it.
    pub fn add(&mut self, number: usize, model: &Model, outcome: Outcome) {
        let result = self.result(&outcome);
        let name = self.plan.setup.names().swap_remove(number);
        let heading = format!(
            "{name} ({}), {} {}, {} images",
            model.architecture,
            self.norm,
            shown(outcome.epsilon),
            self.images
        );
        let table = result.table();
        println!("\n{heading}\n{table}");
        self.text += &format!("## {heading}\n\n```text\n{table}```\n\n");
        if self.plan.save.is_some() {
            self.adversarial = outcome.state.to_checkpoint(self.set).to_bytes();
        }
        match self.models.get_mut(number) {
            Some(model) => model.results.push(result),
            None => self.models.push(ModelReport {
                name,
                model: self.plan.setup.models[number].clone(),
                architecture: model.architecture.to_string(),
                results: vec![result],
            }),
        }
    }

    fn result(&self, Outcome { epsilon, state }: &Outcome) -> Result {
        let n = self.set.len() as f64;
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
            classes: self.set.classes.iter().zip(state.by_class(self.set)).map(class).collect(),
        }
    }

    /// Writes all files and says which.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let about = format!(
            "# {} on {}\n\n{} images, {}, {}{}. Accuracies are of all images, after each attack and those before it.\n\n",
            self.attack,
            self.dataset,
            self.images,
            self.norm,
            self.device,
            if self.settings.is_empty() { String::new() } else { format!(", {}", self.settings) }
        );
        let json = serde_json::to_string_pretty(self)?;
        let mut written = vec![out.join("report.md"), out.join("report.json"), out.join("accuracy.png")];
        files::write(&written[0], format!("{about}{}![accuracy](accuracy.png)\n", self.text).as_bytes())?;
        files::write(&written[1], json.as_bytes())?;
        files::write(&written[2], &plot::accuracy(&self.norm, &self.curves())?)?;
        if let Some(path) = &self.plan.json {
            files::write(path, json.as_bytes())?;
            written.push(path.clone());
        }
        if let Some(path) = &self.plan.save {
            files::write(path, &self.adversarial)?;
            written.push(path.clone());
        }
        let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        println!("\nWritten: {}", names.join(", "));
        println!("         {}/adversarial-*.safetensors (the images)", out.display());
        Ok(())
    }

    /// For each model its name, and accuracy against radius, from the clean one on.
    fn curves(&self) -> Vec<(String, Vec<(f32, f64)>)> {
        let curve = |m: &ModelReport| {
            let clean = m.results.first().map(|r| (0.0, r.clean));
            let mut points: Vec<(f32, f64)> =
                clean.into_iter().chain(m.results.iter().map(|r| (r.epsilon, r.robust))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            (m.name.clone(), points)
        };
        self.models.iter().map(curve).collect()
    }
}

impl Result {
    fn table(&self) -> String {
        let percent = |share: f64| format!("{:6.2} %", 100.0 * share);
        let mut text = format!("  {:<14} {}\n", "clean", percent(self.clean));
        for attack in &self.attacks {
            let asked = format!("{} looks, {} gradients", attack.forwards, attack.gradients);
            text +=
                &format!("  {:<14} {} {:>9.1} s   {asked}\n", attack.name, percent(attack.accuracy), attack.seconds);
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
