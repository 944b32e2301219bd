//! Evaluates all runs with the same attack on the same held-out images.

use crate::{
    app::{
        domain::effect::Effect,
        state::{State, run_evaluation::RunEvaluation},
        update::training::export,
    },
    evaluate::Report,
    protocol::{Command, ExportPurpose, Slot},
    settings::Settings,
};

impl State {
    pub(crate) fn judge(&mut self, images: usize) -> Vec<Effect> {
        let left: Vec<u64> = self.training.runs().map(|run| run.number).collect();
        if left.is_empty() || self.training.run_evaluation.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.cancel_probe();
        let attack = self.link.attack.clone();
        self.training.run_evaluation = Some(RunEvaluation { left, attack, images, id: None, waits: false });
        let stop = self.preempt_attack().then_some(Effect::Send(Command::Stop));
        stop.into_iter().chain(self.evaluate_next_run()).collect()
    }

    /// Turns to the next run, as it is now.
    fn evaluate_next_run(&mut self) -> Vec<Effect> {
        let current = self.training.run.as_ref().map(|run| (run.number, !run.is_new()));
        let Some(judging) = &mut self.training.run_evaluation else { return Vec::new() };
        let Some(&number) = judging.left.first() else {
            self.training.run_evaluation = None;
            return self.resume_preempted_attack();
        };
        judging.waits = current == Some((number, false));
        if judging.waits {
            return vec![export(number, ExportPurpose::AutoSave)];
        }
        vec![Effect::LoadRunModel(number)]
    }

    /// A copy of the run has been kept.
    pub(crate) fn evaluate_exported_run(&mut self) -> Vec<Effect> {
        let waits = self.training.run_evaluation.as_ref().is_some_and(|judging| judging.waits);
        if waits { self.evaluate_next_run() } else { Vec::new() }
    }

    /// The model to be judged is there.
    pub(crate) fn on_run_model_loaded(&mut self) -> Vec<Effect> {
        let Some(judging) = &mut self.training.run_evaluation else { return Vec::new() };
        self.last_id += 1;
        judging.id = Some(self.last_id);
        let (id, settings, images) = (self.last_id, judging.attack.to_pairs(), judging.images);
        vec![Effect::Send(Command::Evaluate { id, slot: Slot::Run, settings, images })]
    }

    /// Takes what an evaluation found, if it is one of these.
    pub(crate) fn on_run_evaluated(
        &mut self,
        id: u64,
        report: &Report,
        over: bool,
        stopped: bool,
    ) -> Option<Vec<Effect>> {
        let judging = self.training.run_evaluation.as_mut().filter(|judging| judging.id == Some(id))?;
        if !over {
            return Some(Vec::new());
        }
        if stopped {
            self.training.run_evaluation = None;
            self.notice("Judging the runs was interrupted: what was judged by then is in the table.".into());
            return Some(self.resume_preempted_attack());
        }
        let config = &judging.attack;
        let attack = format!("{} {} {}", config.attack, config.norm, config.get("epsilon").unwrap_or_default());
        let number = judging.left.remove(0);
        let mut tasks = Vec::new();
        if let Some(run) = self.training.run_mut(number) {
            run.judged = Some((attack, report.clone()));
            tasks.push(Effect::SaveHistory(number, run.history()));
        }
        tasks.extend(self.evaluate_next_run());
        Some(tasks)
    }

    /// The run could not be judged: the others still may.
    pub(crate) fn on_run_evaluation_failed(&mut self) -> Vec<Effect> {
        let Some(judging) = &mut self.training.run_evaluation else { return Vec::new() };
        judging.left.remove(0);
        self.evaluate_next_run()
    }
}
