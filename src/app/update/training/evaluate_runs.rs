//! Evaluates all runs with the same attack on the same held-out images.

use crate::{
    app::{
        domain::effect::Effect,
        state::{State, run_evaluation::RunEvaluation},
        update::training::export_run,
    },
    evaluate::Report,
    protocol::{Command, ExportPurpose, Slot},
    settings::Settings,
};

impl State {
    /// Evaluates all runs with the current attack on `images` images.
    pub(crate) fn evaluate_runs(&mut self, images: usize) -> Vec<Effect> {
        let remaining: Vec<u64> = self.training.runs().map(|run| run.number).collect();
        if remaining.is_empty() || self.training.run_evaluation.is_some() || self.backend.current.is_none() {
            return Vec::new();
        }
        self.cancel_probe();
        let attack = self.permalink.attack.clone();
        let evaluation = RunEvaluation { remaining, attack, images, id: None, awaits_export: false };
        self.training.run_evaluation = Some(evaluation);
        let mut effects = Vec::new();
        if self.preempt_attack() {
            effects.push(Effect::Send(Command::Stop));
        }
        effects.extend(self.evaluate_next_run());
        effects
    }

    /// Loads the model of the next run. If the current run has unsaved steps, it is exported first.
    fn evaluate_next_run(&mut self) -> Vec<Effect> {
        let unsaved = self.training.run.as_ref().filter(|run| run.has_unsaved_steps()).map(|run| run.number);
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        let Some(&number) = evaluation.remaining.first() else {
            self.training.run_evaluation = None;
            return self.resume_preempted_attack();
        };
        evaluation.awaits_export = unsaved == Some(number);
        if evaluation.awaits_export {
            vec![export_run(number, ExportPurpose::AutoSave)]
        } else {
            vec![Effect::LoadRunModel(number)]
        }
    }

    /// Continues if the evaluation was waiting for the export of the current run.
    pub(crate) fn evaluate_exported_run(&mut self) -> Vec<Effect> {
        let evaluation = self.training.run_evaluation.as_ref();
        if evaluation.is_some_and(|evaluation| evaluation.awaits_export) {
            self.evaluate_next_run()
        } else {
            Vec::new()
        }
    }

    /// Starts the evaluation of the model that was loaded.
    pub(crate) fn on_run_model_loaded(&mut self) -> Vec<Effect> {
        let id = self.last_id + 1;
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        evaluation.id = Some(id);
        let (settings, images) = (evaluation.attack.to_pairs(), evaluation.images);
        self.last_id = id;
        vec![Effect::Send(Command::Evaluate { id, slot: Slot::Run, settings, images })]
    }

    /// Whether the evaluation with this id is that of a run.
    pub(crate) fn is_run_evaluation(&self, id: u64) -> bool {
        self.training.run_evaluation.as_ref().is_some_and(|evaluation| evaluation.id == Some(id))
    }

    /// Stores the report of a run when it is finished, and evaluates the next run.
    pub(crate) fn on_run_evaluation_progress(&mut self, report: Report, finished: bool, stopped: bool) -> Vec<Effect> {
        if !finished {
            return Vec::new();
        }
        if stopped {
            self.training.run_evaluation = None;
            self.notify("The evaluation of the runs was interrupted. The table contains the results so far.".into());
            return self.resume_preempted_attack();
        }
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        let config = &evaluation.attack;
        let attack = format!("{} {} {}", config.attack, config.norm, config.get("epsilon").unwrap_or_default());
        let number = evaluation.remaining.remove(0);
        let mut effects = Vec::new();
        if let Some(run) = self.training.run_mut(number) {
            run.evaluation = Some((attack, report));
            effects.push(Effect::SaveHistory(number, run.history()));
        }
        effects.extend(self.evaluate_next_run());
        effects
    }

    /// Skips a run that could not be evaluated.
    pub(crate) fn on_run_evaluation_failed(&mut self) -> Vec<Effect> {
        let Some(evaluation) = &mut self.training.run_evaluation else { return Vec::new() };
        evaluation.remaining.remove(0);
        self.evaluate_next_run()
    }
}
