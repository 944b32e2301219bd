//! Lets the page follow what runs in the worker, and end it.

use std::ops::ControlFlow;

use super::{CommandError, CurrentJob, failed, softmax};
use crate::{
    attack::{AttackBatch, AttackOutcome, ModelOracle, Norm, Observer, Progress},
    evaluate::{self, EvaluationProgress},
    model::Model,
    platform,
    protocol::{AttackResult, Event, Trace},
};

/// Milliseconds between two looks at what runs: often enough to be live, seldom enough to cost nothing.
const LOOK_EVERY: f64 = 60.0;

/// What the page hears of one attack or evaluation.
pub struct Line<'a> {
    id: u64,
    latest: &'a CurrentJob,
    emit: &'a dyn Fn(Event),
    told: f64,
    /// A later command has come.
    pub stopped: bool,
}

impl<'a> Line<'a> {
    pub fn new(id: u64, latest: &'a CurrentJob, emit: &'a dyn Fn(Event)) -> Self {
        Self { id, latest, emit, told: platform::milliseconds(), stopped: false }
    }

    pub fn due(&self) -> bool {
        platform::milliseconds() - self.told >= LOOK_EVERY
    }

    /// Tells the page, lets commands arrive, and sees whether one ends this.
    pub async fn tell(&mut self, event: Option<Event>) -> ControlFlow<()> {
        event.into_iter().for_each(self.emit);
        platform::yield_now().await;
        self.told = platform::milliseconds();
        self.stopped = self.latest.get() != self.id;
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Follows attacks on one image.
pub struct EvaluationObserver<'a> {
    pub line: Line<'a>,
    /// The attacks' own.
    query: &'a ModelOracle<'a, Model>,
    /// For what is shown, so that the attacks' own queries can be counted.
    looks: ModelOracle<'a, Model>,
    task: &'a AttackBatch,
    pub traces: Vec<Trace>,
    /// The worst points so far, evenly chosen.
    pub path: Vec<Point>,
}

/// The worst point `[3, 32, 32]` that an attack had found after a step of it.
pub struct Point {
    pub attack: String,
    pub step: usize,
    pub x: Vec<f32>,
}

/// Steps at an attack's begin of which each point is kept, and parts of its way at whose ends others are.
const PATH: usize = 20;

impl<'a> EvaluationObserver<'a> {
    pub fn new(
        line: Line<'a>,
        query: &'a ModelOracle<'a, Model>,
        looks: ModelOracle<'a, Model>,
        task: &'a AttackBatch,
    ) -> Self {
        Self { line, query, looks, task, traces: Vec::new(), path: Vec::new() }
    }

    /// Another attack begins, at the image itself.
    pub fn begin(&mut self, attack: &str, clean: f32) {
        let trace = Trace { attack: attack.into(), margins: vec![clean], steps: 0, queries: [0; 2], reached: false };
        self.traces.push(trace);
    }

    /// Notes where the attack is after `step` of `total` steps.
    fn note(&mut self, margin: f32, step: usize, total: usize) {
        let before: [u64; 2] = [0, 1].map(|i| self.traces.iter().rev().skip(1).map(|t| t.queries[i]).sum());
        let counts = self.query.counts();
        if let Some(trace) = self.traces.last_mut() {
            trace.steps = step;
            trace.queries = [counts[0] - before[0], counts[1] - before[1]];
            let due = trace.margins.len() <= step * Trace::LONGEST / total.max(Trace::LONGEST);
            if due {
                trace.margins.push(margin);
            }
        }
    }

    pub fn finish(&mut self, found: &AttackOutcome) {
        if let Some(trace) = self.traces.last_mut() {
            trace.reached = found.succeeded();
            // A fall between two notes.
            if trace.reached && trace.margins.last().is_none_or(|m| *m > found.margin) {
                trace.margins.push(found.margin);
            }
        }
    }

    pub async fn result(&self, found: &AttackOutcome) -> Result<AttackResult, CommandError> {
        let logits = self.looks.logits(&found.x).await.map_err(failed)?;
        let change = |norm: Norm| norm.distance(&found.x, &self.task.images);
        Ok(AttackResult {
            pixels: found.x.clone(),
            probabilities: softmax(logits.row(0)),
            reached: found.succeeded(),
            linf: change(Norm::Linf),
            l2: change(Norm::L2),
            l1: change(Norm::L1),
            distance: found.distance,
        })
    }
}

impl Observer for EvaluationObserver<'_> {
    async fn step(&mut self, Progress { done, total, found }: Progress<'_>) -> ControlFlow<()> {
        self.note(found[0].margin, done, total);
        // The first steps one by one: many an attack is over by then.
        if done <= PATH || done * PATH / total != (done - 1) * PATH / total {
            let attack = self.traces.last().map(|trace| trace.attack.as_str()).unwrap_or_default();
            let own = || self.path.iter().rev().take_while(|point| point.attack == attack);
            // Some attacks report a step twice.
            if own().next().is_none_or(|last| last.step != done) && own().count() < 2 * PATH {
                let point = Point { attack: attack.into(), step: done, x: found[0].x.clone() };
                self.path.push(point);
            }
        }
        if done == total || !self.line.due() {
            return ControlFlow::Continue(());
        }
        let result = self.result(&found[0]).await.ok();
        let (id, traces) = (self.line.id, self.traces.clone());
        self.line.tell(result.map(|result| Event::AttackProgress { id, done, total, result, traces })).await
    }
}

/// Follows an evaluation.
pub struct WatchSet<'a>(pub Line<'a>);

impl evaluate::EvaluationObserver for WatchSet<'_> {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        if !self.0.due() {
            return ControlFlow::Continue(());
        }
        let report = progress.state.report(progress.done / progress.of.max(1) as f64);
        let id = self.0.id;
        self.0.tell(Some(Event::Evaluated { id, report, over: false, stopped: false })).await
    }
}
