//! Reports the progress of running jobs to the page, and cancels them.

use std::ops::ControlFlow;

use super::{CommandError, CurrentJob, EventSink, Session, attack_failed, softmax};
use crate::{
    attack::{AttackBatch, AttackOutcome, ModelOracle, Norm, Observer, Progress},
    evaluate::{self, EvaluationProgress},
    model::Model,
    platform,
    protocol::{AttackResult, Event, QueryCounts, Trace},
};

/// Milliseconds between two reports of a job. Reports at this rate look continuous and cost little.
const REPORT_INTERVAL: f64 = 60.0;

/// Reports the progress of one job and detects when a later command cancels it.
pub struct JobReporter {
    id: u64,
    current_job: CurrentJob,
    sink: EventSink,
    last_report: f64,
    /// Whether a later command has cancelled the job.
    pub cancelled: bool,
}

impl JobReporter {
    pub fn new(id: u64, session: &Session) -> Self {
        Self {
            id,
            current_job: session.current_job.clone(),
            sink: session.sink.clone(),
            last_report: platform::milliseconds(),
            cancelled: false,
        }
    }

    /// Returns whether the time for the next report has come.
    pub fn is_due(&self) -> bool {
        platform::milliseconds() - self.last_report >= REPORT_INTERVAL
    }

    /// Emits an event, if any, lets commands arrive, and breaks if one of them has cancelled the job.
    pub async fn report(&mut self, event: Option<Event>) -> ControlFlow<()> {
        if let Some(event) = event {
            (self.sink)(event);
        }
        platform::yield_now().await;
        self.last_report = platform::milliseconds();
        self.cancelled = self.current_job.get() != self.id;
        if self.cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Observer of an attack that only checks for cancellation.
pub struct CancelOnly<'a>(pub &'a mut JobReporter);

impl Observer for CancelOnly<'_> {
    async fn step(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        if self.0.is_due() { self.0.report(None).await } else { ControlFlow::Continue(()) }
    }
}

/// Observer of the attacks on the current image: records their traces and reports intermediate results.
pub struct AttackObserver<'a> {
    pub reporter: JobReporter,
    /// The oracle of the attacks, whose queries are counted.
    attack_oracle: &'a ModelOracle<'a, Model>,
    /// The oracle for intermediate results, whose queries are not counted.
    display_oracle: ModelOracle<'a, Model>,
    batch: &'a AttackBatch,
    pub traces: Vec<Trace>,
    /// The recorded points of all attacks.
    pub path: Vec<Point>,
}

/// The best adversarial image found up to a step of an attack.
pub struct Point {
    /// Name of the attack.
    pub attack: String,
    /// Number of steps done.
    pub step: usize,
    /// The image, `[3, 32, 32]` in [0,1].
    pub x: Vec<f32>,
}

/// Number of steps at the start of an attack that are all recorded, and number of evenly spaced steps recorded from the
/// whole attack. Many attacks succeed within the first few steps.
const RECORDED_STEPS: usize = 20;

impl<'a> AttackObserver<'a> {
    pub fn new(
        reporter: JobReporter,
        attack_oracle: &'a ModelOracle<'a, Model>,
        display_oracle: ModelOracle<'a, Model>,
        batch: &'a AttackBatch,
    ) -> Self {
        Self { reporter, attack_oracle, display_oracle, batch, traces: Vec::new(), path: Vec::new() }
    }

    /// Starts the trace of the next attack. `margin` is that of the clean image.
    pub fn start_attack(&mut self, attack: &str, margin: f32) {
        self.traces.push(Trace {
            attack: attack.into(),
            margins: vec![margin],
            steps: 0,
            queries: QueryCounts::default(),
            succeeded: false,
        });
    }

    /// Completes the trace of the current attack.
    pub fn finish_attack(&mut self, outcome: &AttackOutcome) {
        if let Some(trace) = self.traces.last_mut() {
            trace.succeeded = outcome.succeeded();
            // The attack may have succeeded between two recorded steps.
            if trace.succeeded && trace.margins.last().is_none_or(|margin| *margin > outcome.margin) {
                trace.margins.push(outcome.margin);
            }
        }
    }

    /// Returns an outcome as shown on the page.
    pub async fn result(&self, outcome: &AttackOutcome) -> Result<AttackResult, CommandError> {
        let logits = self.display_oracle.logits(&outcome.x).await.map_err(attack_failed)?;
        let perturbation = |norm: Norm| norm.distance(&outcome.x, &self.batch.images);
        Ok(AttackResult {
            pixels: outcome.x.clone(),
            probabilities: softmax(logits.row(0)),
            succeeded: outcome.succeeded(),
            linf: perturbation(Norm::Linf),
            l2: perturbation(Norm::L2),
            l1: perturbation(Norm::L1),
            distance: outcome.distance,
        })
    }

    /// Updates the trace of the current attack after `step` of `total` steps.
    fn update_trace(&mut self, margin: f32, step: usize, total: usize) {
        let [forward, backward] = self.attack_oracle.counts();
        let Some((trace, earlier)) = self.traces.split_last_mut() else { return };
        trace.steps = step;
        trace.queries = QueryCounts {
            forward: forward - earlier.iter().map(|trace| trace.queries.forward).sum::<u64>(),
            backward: backward - earlier.iter().map(|trace| trace.queries.backward).sum::<u64>(),
        };
        if trace.margins.len() <= step * Trace::MAX_MARGINS / total.max(Trace::MAX_MARGINS) {
            trace.margins.push(margin);
        }
    }

    /// Records the current point, if this step is one of those to record.
    fn record_point(&mut self, outcome: &AttackOutcome, step: usize, total: usize) {
        let is_first = step <= RECORDED_STEPS;
        if !is_first && step * RECORDED_STEPS / total == (step - 1) * RECORDED_STEPS / total {
            return;
        }
        let Some(trace) = self.traces.last() else { return };
        let recorded = || self.path.iter().rev().take_while(|point| point.attack == trace.attack);
        // Some attacks report a step twice.
        let is_new = recorded().next().is_none_or(|last| last.step != step);
        if is_new && recorded().count() < 2 * RECORDED_STEPS {
            self.path.push(Point { attack: trace.attack.clone(), step, x: outcome.x.clone() });
        }
    }
}

impl Observer for AttackObserver<'_> {
    async fn step(&mut self, Progress { done, total, found }: Progress<'_>) -> ControlFlow<()> {
        let outcome = &found[0];
        self.update_trace(outcome.margin, done, total);
        self.record_point(outcome, done, total);
        if done == total || !self.reporter.is_due() {
            return ControlFlow::Continue(());
        }
        // The attack itself reports an error of the device at its next step.
        let result = self.result(outcome).await.ok();
        let (id, traces) = (self.reporter.id, self.traces.clone());
        let event = result.map(|result| Event::AttackProgress { id, done, total, result, traces });
        self.reporter.report(event).await
    }
}

/// Observer of an evaluation that reports intermediate results.
pub struct EvaluationReporter(pub JobReporter);

impl evaluate::EvaluationObserver for EvaluationReporter {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        if !self.0.is_due() {
            return ControlFlow::Continue(());
        }
        let report = progress.state.report(progress.done / progress.of.max(1) as f64);
        let id = self.0.id;
        self.0.report(Some(Event::EvaluationProgress { id, report, finished: false, stopped: false })).await
    }
}
