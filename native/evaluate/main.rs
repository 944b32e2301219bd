//! Puts models side by side: how often they are right on clean, corrupted and adversarial images.

mod cli;
mod plot;
mod report;

use std::{
    fs,
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
    evaluation::{Progress, model_file::File, resumable::Job, run_spec},
    files,
    interrupt::Interrupt,
};
use report::{Report, Score, scores};

fn main() -> ExitCode {
    otjr_cli::main(run)
}

fn run() -> anyhow::Result<ExitCode> {
    let (mut plan, out) = cli::read(&cli::command().get_matches())?;
    let interrupt = Interrupt::listen()?;
    let files = plan.setup.models.iter().map(File::read).collect::<Result<Vec<_>, _>>()?;
    let Some((images, opened)) = plan.setup.open(&interrupt)? else {
        return Ok(interrupt.exit_code());
    };
    let names = plan.setup.names();
    println!("{}: {} images of {}, {}", names.join(", "), images.len(), plan.setup.dataset, opened.name);
    // All is loaded and looked at before anything is written or attacked.
    let models = files.iter().map(|file| file.load(&images, &opened)).collect::<Result<Vec<_>, _>>()?;
    let tests = plan.tests()?;
    for (path, (model, ..)) in plan.setup.models.iter().zip(&models) {
        for test in &tests {
            if let Test::Attack(config) = test {
                check(&build_attacks(config, model.classes)?, None, model.classes).with_context(|| path.clone())?;
            }
        }
    }
    if plan.setup.sign(None, models.iter().map(|(_, checksum, _)| *checksum), &images)? {
        run_spec::keep(&out, &plan)?;
    }
    let go_on = format!("To go on: evaluate --resume {}", out.display());
    let bench = Bench { plan: &plan, images: &images, opened: &opened, interrupt: &interrupt, out: &out };
    let mut report = Report::new(&plan, &images, &opened, models.iter().map(|(model, ..)| model));
    // All models before the next test: the quick tests, which usually come first, are soon to be compared.
    for (name, test) in plan.tests.iter().zip(&tests) {
        for (number, (model, ..)) in models.iter().enumerate() {
            let run = Run { test: name, model, name: &names[number], number };
            let Some((scores, flags)) = bench.put(run, test).with_context(|| go_on.clone())? else {
                println!("Stopped. {go_on}");
                return Ok(interrupt.exit_code());
            };
            println!("{}, {name}: {}", names[number], scores[0].shown());
            report.add(number, scores, flags);
        }
    }
    report.write(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// What all tests share.
struct Bench<'a> {
    plan: &'a Plan,
    images: &'a ImageSet,
    opened: &'a Opened,
    interrupt: &'a Interrupt,
    out: &'a Path,
}

/// One model under one test.
struct Run<'a> {
    test: &'a str,
    model: &'a Model,
    name: &'a str,
    number: usize,
}

impl Bench<'_> {
    /// What a model is worth under a test, and what makes that doubtful; none if interrupted.
    fn put(&self, run: Run, test: &Test) -> anyhow::Result<Option<(Vec<Score>, Vec<String>)>> {
        match test {
            Test::Views(views) => {
                let tally = self.look(&run, views)?;
                Ok(tally.map(|tally| (scores(run.test, views, &tally, self.images.len()), Vec::new())))
            }
            Test::Attack(config) => {
                let job = Job {
                    setup: &self.plan.setup,
                    configs: vec![config.clone()],
                    target: None,
                    images: self.images,
                    opened: self.opened,
                    label: format!("{}, ", run.name),
                    file: self.file(&run, "safetensors"),
                    interrupt: self.interrupt,
                };
                let state = job.run(run.model, run.model)?;
                let flags = state.flags.iter().map(|flag| format!("{}: {flag}", run.test)).collect();
                let score = Score::new(run.test, None, None, state.accuracy().shares()[1], self.images.len());
                Ok(state.finished.then(|| (vec![score], flags)))
            }
        }
    }

    /// Where what is known of a run is kept.
    fn file(&self, run: &Run, extension: &str) -> PathBuf {
        self.out.join(format!("{}-{}.{extension}", run.test, run.number + 1))
    }

    /// Lets a model look at views of the images, and goes on from the file, if there is one; none if interrupted.
    fn look(&self, run: &Run, views: &[View]) -> anyhow::Result<Option<Tally>> {
        let file = self.file(run, "json");
        let mut tally: Tally = if file.exists() {
            let bytes = fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
            serde_json::from_slice(&bytes).with_context(|| file.display().to_string())?
        } else {
            Tally::default()
        };
        let (images, seed, batch) = (self.images, self.plan.seed()?, self.plan.setup.batch);
        let views = Views { images, views, seed, batch };
        let mut progress = Progress::new(self.plan.setup.save_every)?;
        progress.begin(format!("{}, {}", run.name, run.test), tally.done as f64, views.total());
        let save = |tally: &Tally| files::write(&file, serde_json::to_string(tally)?.as_bytes());
        while tally.done < views.total() && !self.interrupt.raised() {
            pollster::block_on(views.step(run.model, &self.opened.device, &mut tally))?;
            progress.show(tally.done as f64, format!("{} right", tally.right.iter().sum::<usize>()));
            if progress.due() {
                save(&tally)?;
            }
        }
        save(&tally)?;
        Ok((tally.done == views.total()).then_some(tally))
    }
}
