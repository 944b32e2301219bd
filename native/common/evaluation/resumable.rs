//! One model under attacks, kept in a file to go on from.

use std::{fs, io::ErrorKind, ops::ControlFlow, path::PathBuf};

use anyhow::Context;
use otjr::{
    attack::{AttackConfig, AttackKind, any::build_attacks, autoattack::left_out},
    checkpoint::Checkpoint,
    data::ImageSet,
    evaluate::{Evaluation, EvaluationObserver, EvaluationProgress, State, Target},
    model::Model,
    platform::Opened,
};

use super::{Progress, run_spec::Setup};
use crate::{files, interrupt::Interrupt};

pub struct Job<'a> {
    pub setup: &'a Setup,
    pub configs: Vec<AttackConfig>,
    pub target: Option<Target>,
    pub images: &'a ImageSet,
    pub opened: &'a Opened,
    /// What it is called beside the attack's name.
    pub label: String,
    /// Where its state is kept.
    pub file: PathBuf,
    pub interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// Goes on from the file, if there is one. What is not finished was interrupted.
    pub fn run(&self, model: &Model, judge: &Model) -> anyhow::Result<State> {
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
            batch: self.setup.batch.min(self.images.len()),
            flags,
            may_be_random: self.configs.iter().any(|c| c.attack == AttackKind::AutoattackRand),
        };
        let device = &self.opened.device;
        let mut state = match fs::read(&self.file) {
            Ok(bytes) => Checkpoint::from_bytes(&bytes)
                .and_then(|file| State::from_checkpoint(&file, self.images))
                .with_context(|| self.file.display().to_string())?,
            Err(error) if error.kind() == ErrorKind::NotFound => pollster::block_on(evaluation.begin(judge, device))?,
            Err(error) => return Err(error).with_context(|| format!("could not read {}", self.file.display())),
        };
        let progress = Progress::new(self.setup.save_every)?;
        let mut watch = Terminal { job: self, progress, begun: 0, problem: Ok(()) };
        pollster::block_on(evaluation.run(model, judge, device, &mut state, &mut watch))?;
        watch.problem?;
        self.save(&state)?;
        Ok(state)
    }

    fn save(&self, state: &State) -> anyhow::Result<()> {
        files::write(&self.file, &state.to_checkpoint(self.images).to_bytes())
    }
}

/// Shows an evaluation in the terminal, and saves it now and then.
struct Terminal<'a> {
    job: &'a Job<'a>,
    progress: Progress,
    /// The attacks that have begun.
    begun: usize,
    problem: anyhow::Result<()>,
}

impl EvaluationObserver for Terminal<'_> {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        let records = &progress.state.records;
        let running = records.last().expect("an attack runs");
        if self.begun != records.len() {
            self.begun = records.len();
            self.progress.begin(format!("{}{}", self.job.label, running.name), progress.done, progress.of);
        }
        self.progress.show(progress.done, format!("{} of {} stand", running.after, progress.state.statuses.len()));
        if progress.batch_finished && self.progress.due() {
            self.problem = self.job.save(progress.state);
        }
        if self.problem.is_err() { ControlFlow::Break(()) } else { self.job.interrupt.flow() }
    }
}
