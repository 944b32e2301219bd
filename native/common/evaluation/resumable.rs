//! Evaluation of one model under attacks, with its state in a file from which it is resumed.

use std::{ops::ControlFlow, path::PathBuf};

use anyhow::Context;
use otjr::{
    attack::{AttackConfig, AttackKind, any::build_attacks, autoattack::left_out},
    checkpoint::Checkpoint,
    data::ImageSet,
    evaluate::{Evaluation, EvaluationObserver, EvaluationProgress, State, Target},
    model::Model,
    platform::Opened,
};

use super::{Progress, run_spec::RunSpec};
use crate::{files, interrupt::Interrupt};

/// An evaluation that can be interrupted and resumed.
pub struct ResumableEvaluation<'a> {
    /// Batch size and time between saves.
    pub run: &'a RunSpec,
    /// Attacks that run in sequence. At least one.
    pub configs: Vec<AttackConfig>,
    /// Target class of targeted attacks.
    pub target: Option<Target>,
    /// Images to attack.
    pub images: &'a ImageSet,
    /// Device that computes.
    pub opened: &'a Opened,
    /// Text before the attack's name in the progress bar.
    pub label: String,
    /// File of the state.
    pub file: PathBuf,
    /// Stops the evaluation.
    pub interrupt: &'a Interrupt,
}

impl ResumableEvaluation<'_> {
    /// Attacks `model` and counts the images that `eval_model` classifies correctly. Resumes from the file if it
    /// exists. If the returned state is not finished, the evaluation was interrupted.
    ///
    /// # Errors
    /// If the state belongs to other images, a file cannot be read or written, or the device fails.
    pub fn run(&self, model: &Model, eval_model: &Model) -> anyhow::Result<State> {
        let mut attacks = Vec::new();
        let mut flags = Vec::new();
        for config in &self.configs {
            attacks.extend(build_attacks(config, model.classes)?);
            flags.extend(left_out(config.attack, model.classes));
        }
        let evaluation = Evaluation {
            images: self.images,
            attacks: &attacks,
            target: self.target,
            seed: self.configs[0].seed,
            batch: self.run.batch.min(self.images.len()),
            flags,
            may_be_random: self.configs.iter().any(|c| c.attack == AttackKind::AutoattackRand),
        };
        let device = &self.opened.device;
        let mut state = match files::read_if_exists(&self.file)? {
            Some(bytes) => Checkpoint::from_bytes(&bytes)
                .and_then(|file| State::from_checkpoint(&file, self.images))
                .with_context(|| self.file.display().to_string())?,
            None => pollster::block_on(evaluation.begin(eval_model, device))?,
        };
        let progress = Progress::new(self.run.save_every)?;
        let mut observer = ConsoleObserver { evaluation: self, progress, started: 0, saved: Ok(()) };
        pollster::block_on(evaluation.run(model, eval_model, device, &mut state, &mut observer))?;
        observer.saved?;
        self.save(&state)?;
        Ok(state)
    }

    fn save(&self, state: &State) -> anyhow::Result<()> {
        files::write(&self.file, &state.to_checkpoint(self.images).to_bytes())
    }
}

/// Shows an evaluation in the terminal and saves its state at intervals.
struct ConsoleObserver<'a> {
    evaluation: &'a ResumableEvaluation<'a>,
    progress: Progress,
    /// Number of attacks that have started.
    started: usize,
    /// Result of the last save.
    saved: anyhow::Result<()>,
}

impl EvaluationObserver for ConsoleObserver<'_> {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        let records = &progress.state.records;
        let running = records.last().expect("an attack runs");
        if self.started != records.len() {
            self.started = records.len();
            self.progress.start(format!("{}{}", self.evaluation.label, running.name), progress.done, progress.of);
        }
        self.progress.show(progress.done, format!("{} of {} robust", running.after, progress.state.statuses.len()));
        if progress.batch_finished && self.progress.save_due() {
            self.saved = self.evaluation.save(progress.state);
        }
        if self.saved.is_err() { ControlFlow::Break(()) } else { self.evaluation.interrupt.flow() }
    }
}
