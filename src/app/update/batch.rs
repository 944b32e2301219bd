//! Attacks a batch of images.

use crate::{
    app::{
        domain::effect::Effect,
        state::{State, batch::BatchAttack},
    },
    evaluate::Report,
    protocol::Command,
    settings::Settings,
};

impl State {
    /// Attacks `images` images of the data set that matches the model in focus.
    pub(crate) fn attack_batch(&mut self, images: usize) -> Vec<Effect> {
        let Some(slot) = self.slot() else { return Vec::new() };
        self.cancel_probe();
        let id = self.next_id();
        let config = self.permalink.attack.clone();
        let settings = config.to_pairs();
        let dataset = self.evaluation_dataset().unwrap_or_default();
        self.batch = Some(BatchAttack { id, config, dataset, running: true, ..BatchAttack::default() });
        self.preempt_attack();
        vec![Effect::Send(Command::Evaluate { id, slot, settings, images })]
    }

    /// Stores the progress of an evaluation: of all runs, or of a batch attack.
    pub(crate) fn on_evaluation_progress(
        &mut self,
        id: u64,
        report: Report,
        finished: bool,
        stopped: bool,
    ) -> Vec<Effect> {
        if self.is_run_evaluation(id) {
            return self.on_run_evaluation_progress(report, finished, stopped);
        }
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.id == id) else {
            return self.schedule_next();
        };
        (batch.report, batch.running, batch.stopped) = (Some(report), !finished, stopped);
        if finished { self.resume_preempted_attack() } else { Vec::new() }
    }

    /// Marks the batch attack as stopped, because its worker is gone.
    pub(crate) fn abort_batch(&mut self) {
        if let Some(batch) = self.batch.as_mut().filter(|batch| batch.running) {
            (batch.running, batch.stopped) = (false, true);
        }
    }
}
