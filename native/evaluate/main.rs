//! Compares the accuracy of models on clean, corrupted and adversarial images.

mod cli;
mod plot;
mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use cli::{Plan, Test};
use otjr::{
    attack::any::build_attacks,
    data::ImageSet,
    evaluate::{Tally, View, Views, check},
    model::Model,
    platform::Opened,
};
use otjr_cli::{
    evaluation::{
        Progress,
        model_file::{LoadedModel, ModelFile},
        resumable::ResumableEvaluation,
        run_spec,
    },
    files,
    interrupt::Interrupt,
};
use report::{Report, Row, Score, TestResult, scores};

fn main() -> ExitCode {
    otjr_cli::main(run)
}

fn run() -> anyhow::Result<ExitCode> {
    let (mut plan, out) = cli::read(&cli::command().get_matches())?;
    let interrupt = Interrupt::listen()?;
    let files = plan.run.models.iter().map(ModelFile::read).collect::<Result<Vec<_>, _>>()?;
    let Some((images, opened)) = plan.run.open(&interrupt)? else {
        return Ok(interrupt.exit_code());
    };
    println!("{}: {} images of {}, {}", plan.run.names().join(", "), images.len(), plan.run.dataset, opened.name);
    // Everything is loaded and checked before the first test starts and the first file is written.
    let models = files.iter().map(|file| file.load(&images, &opened)).collect::<Result<Vec<_>, _>>()?;
    check_attacks(&plan, &models)?;
    if plan.run.record_checksums(None, models.iter(), &images)? {
        run_spec::write_run_spec(&out, &plan)?;
    }
    let evaluator = Evaluator { plan: &plan, images: &images, opened: &opened, interrupt: &interrupt, out: &out };
    match evaluator.run(&models)? {
        Some(report) => {
            report.write(&out)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            println!("Stopped. {}", resume_command(&out));
            Ok(interrupt.exit_code())
        }
    }
}

/// Checks that all attacks can be run on all models.
fn check_attacks(plan: &Plan, models: &[LoadedModel]) -> anyhow::Result<()> {
    let tests = plan.tests()?;
    for (path, LoadedModel { model, .. }) in plan.run.models.iter().zip(models) {
        for test in &tests {
            if let Test::Attack(config) = test {
                check(&build_attacks(config, model.classes)?, None, model.classes).with_context(|| path.clone())?;
            }
        }
    }
    Ok(())
}

fn resume_command(out: &Path) -> String {
    format!("To continue: evaluate --resume {}", out.display())
}

/// Everything that all tests share.
struct Evaluator<'a> {
    plan: &'a Plan,
    images: &'a ImageSet,
    opened: &'a Opened,
    interrupt: &'a Interrupt,
    out: &'a Path,
}

/// A model in a test.
struct Candidate<'a> {
    test: &'a str,
    model: &'a Model,
    name: &'a str,
    number: usize,
}

impl<'a> Evaluator<'a> {
    /// Runs all tests on all models. Returns `None` if interrupted.
    fn run(&self, models: &[LoadedModel]) -> anyhow::Result<Option<Report<'a>>> {
        let names = self.plan.run.names();
        let mut report = Report::new(self.plan, self.images, self.opened, models);
        // All models before the next test, so that the quick tests, which usually come first, can be compared early.
        for (name, test) in self.plan.tests.iter().zip(&self.plan.tests()?) {
            for (number, LoadedModel { model, .. }) in models.iter().enumerate() {
                let candidate = Candidate { test: name, model, name: &names[number], number };
                let result = self.evaluate(&candidate, test).with_context(|| resume_command(self.out))?;
                let Some(result) = result else { return Ok(None) };
                println!("{}, {name}: {}", names[number], result.scores[0].text());
                report.add(number, result);
            }
        }
        Ok(Some(report))
    }

    /// Runs one test on one model. Returns `None` if interrupted.
    fn evaluate(&self, candidate: &Candidate, test: &Test) -> anyhow::Result<Option<TestResult>> {
        match test {
            Test::Views(views) => {
                let tally = self.count_views(candidate, views)?;
                Ok(tally.map(|tally| TestResult {
                    scores: scores(candidate.test, views, &tally, self.images.len()),
                    flags: Vec::new(),
                }))
            }
            Test::Attack(config) => {
                let evaluation = ResumableEvaluation {
                    run: &self.plan.run,
                    configs: vec![config.clone()],
                    target: None,
                    images: self.images,
                    opened: self.opened,
                    label: format!("{}, ", candidate.name),
                    file: self.file(candidate, "safetensors"),
                    interrupt: self.interrupt,
                };
                let state = evaluation.run(candidate.model, candidate.model)?;
                if !state.finished {
                    return Ok(None);
                }
                let flags = state.flags.iter().map(|flag| format!("{}: {flag}", candidate.test)).collect();
                let [_, robust] = state.accuracy().shares();
                let score = Score::new(&Row::of_test(candidate.test), robust, self.images.len());
                Ok(Some(TestResult { scores: vec![score], flags }))
            }
        }
    }

    /// Returns the file of a test's state.
    fn file(&self, candidate: &Candidate, extension: &str) -> PathBuf {
        self.out.join(format!("{}-{}.{extension}", candidate.test, candidate.number + 1))
    }

    /// Counts the correctly classified images of each view. Resumes from the file if it exists. Returns `None` if
    /// interrupted.
    fn count_views(&self, candidate: &Candidate, views: &[View]) -> anyhow::Result<Option<Tally>> {
        let file = self.file(candidate, "json");
        let mut tally: Tally = match files::read_if_exists(&file)? {
            Some(bytes) => serde_json::from_slice(&bytes).with_context(|| file.display().to_string())?,
            None => Tally::default(),
        };
        let views = Views { images: self.images, views, seed: self.plan.seed()?, batch: self.plan.run.batch };
        let mut progress = Progress::new(self.plan.run.save_every)?;
        progress.start(format!("{}, {}", candidate.name, candidate.test), tally.done as f64, views.total());
        let save = |tally: &Tally| files::write(&file, serde_json::to_string(tally)?.as_bytes());
        while tally.done < views.total() && !self.interrupt.raised() {
            pollster::block_on(views.step(candidate.model, &self.opened.device, &mut tally))?;
            progress.show(tally.done as f64, format!("{} correct", tally.right.iter().sum::<usize>()));
            if progress.save_due() {
                save(&tally)?;
            }
        }
        save(&tally)?;
        Ok((tally.done == views.total()).then_some(tally))
    }
}
