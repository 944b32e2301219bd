//! Attacks models and counts what they withstand: AutoAttack by default, with its warnings.

mod cli;
mod plot;
mod report;

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use otjr::{
    attack::{AttackConfig, any::build_attacks},
    evaluate::check,
    settings::{Pixels, Settings},
};
use otjr_cli::{
    evaluation::{model_file::File, resumable::Job, run_spec},
    interrupt::Interrupt,
};
use report::{Outcome, Report};

fn main() -> ExitCode {
    otjr_cli::main(run)
}

fn run() -> anyhow::Result<ExitCode> {
    let (mut plan, out) = cli::read(&cli::command().get_matches())?;
    let interrupt = Interrupt::listen()?;
    let judge = plan.judge.as_ref().map(File::read).transpose()?;
    let files = plan.setup.models.iter().map(File::read).collect::<Result<Vec<_>, _>>()?;
    let Some((images, opened)) = plan.setup.open(&interrupt)? else {
        return Ok(interrupt.exit_code());
    };
    println!(
        "{} under {} ({}), {} images of {}, {}",
        count(plan.setup.models.len(), "model"),
        plan.attacks.join(", "),
        plan.norm,
        images.len(),
        plan.setup.dataset,
        opened.name
    );
    // All is loaded and looked at before anything is written or attacked.
    let judge = judge.map(|file| file.load(&images, &opened)).transpose()?;
    let models = files.iter().map(|file| file.load(&images, &opened)).collect::<Result<Vec<_>, _>>()?;
    for (path, (model, ..)) in plan.setup.models.iter().zip(&models) {
        for config in plan.config(Pixels(0.0))? {
            check(&build_attacks(&config, model.classes)?, plan.target()?, model.classes)
                .with_context(|| path.clone())?;
        }
    }
    let checksums = models.iter().chain(&judge).map(|(_, checksum, _)| *checksum);
    if plan.setup.sign(plan.judge.as_ref(), checksums, &images)? {
        run_spec::keep(&out, &plan)?;
    }
    let mut report = Report::new(&plan, &images, &opened);
    for (number, (model, ..)) in models.iter().enumerate() {
        for (radius, epsilon) in plan.epsilons()?.into_iter().enumerate() {
            let job = Job {
                setup: &plan.setup,
                configs: plan.config(epsilon)?,
                target: plan.target()?,
                images: &images,
                opened: &opened,
                label: String::new(),
                file: out.join(format!("adversarial-{}-{}.safetensors", number + 1, radius + 1)),
                interrupt: &interrupt,
            };
            let judge = judge.as_ref().map_or(model, |(judge, ..)| judge);
            let state = job.run(model, judge).with_context(|| resume(&out))?;
            if !state.finished {
                println!("Stopped. {}", resume(&out));
                return Ok(interrupt.exit_code());
            }
            report.add(number, model, Outcome { epsilon: epsilon.0, state: &state });
        }
    }
    report.write(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn resume(out: &Path) -> String {
    format!("To go on: attack --resume {}", out.display())
}

/// The value of a setting as text.
fn shown(epsilon: f32) -> String {
    AttackConfig { epsilon: Pixels(epsilon), ..AttackConfig::default() }.get("epsilon").unwrap_or_default()
}
