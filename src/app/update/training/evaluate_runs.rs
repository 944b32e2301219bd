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
    pub(crate) fn evaluate_runs(&mut self, images: usize) -> Vec<Effect> {
        let remaining: Vec<u64> = self.training.runs().map(|run| run.number).collect();
        if remaining.is_empty() || self.training.run_evaluation.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.cancel_probe();
        let attack = self.permalink.attack.clone();
        self.training.run_evaluation =
            Some(RunEvaluation { remaining, attack, images, id: None, awaits_export: false });
        let stop = self.preempt_attack().then_some(Effect::Send(Command::Stop));
        stop.into_iter().chain(self.evaluate_next_run()).collect()
    }

    /// Turns to the next run, as it is now.
    fn evaluate_next_run(&mut self) -> Vec<Effect> {
        let current = self.training.run.as_ref().map(|run| (run.number, !run.has_unsaved_steps()));
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        let Some(&number) = evaluation.remaining.first() else {
            self.training.run_evaluation = None;
            return self.resume_preempted_attack();
        };
        evaluation.awaits_export = current == Some((number, false));
        if evaluation.awaits_export {
            return vec![export(number, ExportPurpose::AutoSave)];
        }
        vec![Effect::LoadRunModel(number)]
    }

    /// A copy of the run has been kept.
    pub(crate) fn evaluate_exported_run(&mut self) -> Vec<Effect> {
        let waits = self.training.run_evaluation.as_ref().is_some_and(|evaluation| evaluation.awaits_export);
        if waits { self.evaluate_next_run() } else { Vec::new() }
    }

    /// The model to be judged is there.
    pub(crate) fn on_run_model_loaded(&mut self) -> Vec<Effect> {
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        self.last_id += 1;
        evaluation.id = Some(self.last_id);
        let (id, settings, images) = (self.last_id, evaluation.attack.to_pairs(), evaluation.images);
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
        let evaluation = self.training.run_evaluation.as_mut().filter(|evaluation| evaluation.id == Some(id))?;
        if !over {
            return Some(Vec::new());
        }
        if stopped {
            self.training.run_evaluation = None;
            self.notice("Judging the runs was interrupted: what was judged by then is in the table.".into());
            return Some(self.resume_preempted_attack());
        }
        let config = &evaluation.attack;
        let attack = format!("{} {} {}", config.attack, config.norm, config.get("epsilon").unwrap_or_default());
        let number = evaluation.remaining.remove(0);
        let mut tasks = Vec::new();
        if let Some(run) = self.training.run_mut(number) {
            run.evaluation = Some((attack, report.clone()));
            tasks.push(Effect::SaveHistory(number, run.history()));
        }
        tasks.extend(self.evaluate_next_run());
        Some(tasks)
    }

    /// The run could not be judged: the others still may.
    pub(crate) fn on_run_evaluation_failed(&mut self) -> Vec<Effect> {
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        evaluation.remaining.remove(0);
        self.evaluate_next_run()
    }
}
