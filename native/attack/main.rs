//! Attacks models and measures their robust accuracy, by default with AutoAttack and its warnings.

mod cli;
mod plot;
mod report;

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use cli::Plan;
use otjr::{
    attack::{AttackConfig, any::build_attacks},
    data::ImageSet,
    evaluate::check,
    platform::Opened,
    settings::{Pixels, Settings},
};
use otjr_cli::{
    evaluation::{
        model_file::{LoadedModel, ModelFile},
        resumable::ResumableEvaluation,
        run_spec,
    },
    interrupt::Interrupt,
};
use report::{Outcome, Report};

fn main() -> ExitCode {
    otjr_cli::main(run)
}

fn run() -> anyhow::Result<ExitCode> {
    let (mut plan, out) = cli::read(&cli::command().get_matches())?;
    let interrupt = Interrupt::listen()?;
    let eval_file = plan.eval_model.as_ref().map(ModelFile::read).transpose()?;
    let files = plan.run.models.iter().map(ModelFile::read).collect::<Result<Vec<_>, _>>()?;
    let Some((images, opened)) = plan.run.open(&interrupt)? else {
        return Ok(interrupt.exit_code());
    };
    println!(
        "{} under {} ({}), {} images of {}, {}",
        count(plan.run.models.len(), "model"),
        plan.attacks.join(", "),
        plan.norm,
        images.len(),
        plan.run.dataset,
        opened.name
    );
    // Everything is loaded and checked before the first attack starts and the first file is written.
    let eval_model = eval_file.map(|file| file.load(&images, &opened)).transpose()?;
    let models = files.iter().map(|file| file.load(&images, &opened)).collect::<Result<Vec<_>, _>>()?;
    check_attacks(&plan, &models)?;
    if plan.run.record_checksums(plan.eval_model.as_ref(), models.iter().chain(&eval_model), &images)? {
        run_spec::write_run_spec(&out, &plan)?;
    }
    let evaluator = Evaluator { plan: &plan, images: &images, opened: &opened, interrupt: &interrupt, out: &out };
    match evaluator.run(&models, eval_model.as_ref())? {
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
    for (path, LoadedModel { model, .. }) in plan.run.models.iter().zip(models) {
        for config in plan.configs(Pixels(0.0))? {
            check(&build_attacks(&config, model.classes)?, plan.target()?, model.classes)
                .with_context(|| path.clone())?;
        }
    }
    Ok(())
}

/// Everything that the evaluations of all models and radii share.
struct Evaluator<'a> {
    plan: &'a Plan,
    images: &'a ImageSet,
    opened: &'a Opened,
    interrupt: &'a Interrupt,
    out: &'a Path,
}

impl<'a> Evaluator<'a> {
    /// Evaluates all models at all radii. Returns `None` if interrupted.
    fn run(&self, models: &[LoadedModel], eval_model: Option<&LoadedModel>) -> anyhow::Result<Option<Report<'a>>> {
        let mut report = Report::new(self.plan, self.images, self.opened);
        for (number, LoadedModel { model, .. }) in models.iter().enumerate() {
            for (radius, epsilon) in self.plan.epsilons()?.into_iter().enumerate() {
                let evaluation = ResumableEvaluation {
                    run: &self.plan.run,
                    configs: self.plan.configs(epsilon)?,
                    target: self.plan.target()?,
                    images: self.images,
                    opened: self.opened,
                    label: String::new(),
                    file: self.out.join(format!("adversarial-{}-{}.safetensors", number + 1, radius + 1)),
                    interrupt: self.interrupt,
                };
                let eval_model = eval_model.map_or(model, |loaded| &loaded.model);
                let state = evaluation.run(model, eval_model).with_context(|| resume_command(self.out))?;
                if !state.finished {
                    return Ok(None);
                }
                report.add(number, model, Outcome { epsilon: epsilon.0, state: &state });
            }
        }
        Ok(Some(report))
    }
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn resume_command(out: &Path) -> String {
    format!("To continue: attack --resume {}", out.display())
}

/// Returns epsilon as text, such as `8/255`.
fn epsilon_text(epsilon: f32) -> String {
    AttackConfig { epsilon: Pixels(epsilon), ..AttackConfig::default() }.get("epsilon").unwrap_or_default()
}
