//! Auto-PGD: gradient ascent with momentum and an adaptive step size.

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Goal, Loss, ModelOracle, Norm, Observer, Progress,
    ThreatModel, initial_outcomes, stream, threat::sparse_sign, unfooled,
};
use crate::prediction::ranking;

/// Loss that [`Apgd`] maximizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApgdLoss {
    /// A loss and the number of restarts.
    Restarts(Loss, usize),
    /// The targeted DLR loss, for this number of target classes (most likely first).
    Targets(usize),
}

/// Auto-PGD: "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (Croce and
/// Hein, 2020, algorithm 1); for L1 "Mind the Box" (Croce and Hein, 2021, algorithm 3).
///
/// Gradient ascent with momentum. The step size halves at checkpoints where the loss no longer increases. Norms: L-inf,
/// L2, L1. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    /// Norm and epsilon (pixels in [0,1]).
    pub threat: ThreatModel,
    /// Loss, and number of restarts or targets.
    pub loss: ApgdLoss,
    /// Iterations per restart or target (AutoAttack: 100).
    pub iterations: usize,
    /// Gradients averaged per step, for randomized models (expectation over transformation; usually 1).
    pub eot_samples: usize,
    /// Whether to run in balls of radius 3 epsilon, 2 epsilon and epsilon (Croce and Hein, 2021, section 4.2; L1 only).
    pub large_to_small_eps: bool,
    /// Seed of the starting points.
    pub seed: u64,
}

/// Share of the progress that a step keeps of the previous one: 1 - alpha.
const MOMENTUM: f32 = 0.25;
/// rho: the share of steps that must raise the loss for the step size to be kept.
const RISING: f64 = 0.75;
/// L1: the step size is divided by this where the perturbation has become no sparser, down to a tenth.
const SHORTER: f32 = 1.5;

/// Returns the iterations after which the step size is checked: the first 22 % of all, then periods that shrink by 3 % down to
/// 6 % (section 3.2: w_j = p_j N, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), rounded down as in the official code); L1:
/// every 4 %.
pub fn checkpoints(norm: Norm, iterations: usize) -> Vec<usize> {
    let share = |percent: usize| (percent * iterations / 100).max(1);
    let (mut period, shrink, least) = match norm {
        Norm::Linf | Norm::L2 => (share(22), share(3), share(6)),
        Norm::L1 => (share(4), 0, share(4)),
    };
    let (mut all, mut at) = (Vec::new(), period);
    while at <= iterations {
        all.push(at);
        period = period.saturating_sub(shrink).max(least);
        at += period;
    }
    all
}

/// State of one image.
struct Point<'a> {
    i: usize,
    x: &'a [f32],
    goal: Goal,
    loss: Loss,
    x_adv: Vec<f32>,
    previous: Vec<f32>,
    gradient: Vec<f32>,
    /// Where the loss was highest.
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_loss: f64,
    step: f32,
    /// The loss at the last iterate, and how often it has risen since the last checkpoint.
    last_loss: f64,
    rises: usize,
    /// At the last checkpoint: the best loss, and whether the step size was halved.
    checked_loss: f64,
    halved: bool,
    /// L1: pixels that a step moves, and that the best perturbation moved at the last checkpoint.
    moves: usize,
    moved: usize,
}

impl Attack for Apgd {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, logits) = initial_outcomes(query, task).await?;
        let rounds = match self.loss {
            ApgdLoss::Restarts(_, n) | ApgdLoss::Targets(n) => n,
        };
        for round in 0..rounds {
            let attacked = unfooled(&found);
            if attacked.is_empty() {
                break;
            }
            let loss = |i: usize| match self.loss {
                // A mean of several gradients depends on their sizes.
                ApgdLoss::Restarts(loss, _) if self.eot_samples > 1 => loss,
                ApgdLoss::Restarts(loss, _) => loss.unsaturated(),
                ApgdLoss::Targets(_) => Loss::DlrTowards(ranking(logits.row(i))[round + 1]),
            };
            let mut starts: Vec<Start> = attacked
                .into_iter()
                .map(|i| {
                    let rng = &mut stream(self.seed, task.image_ids[i], round);
                    Start { i, loss: loss(i), x: self.phases()[0].0.random_surface(task.image(i), rng) }
                })
                .collect();
            let mut done = round * self.iterations;
            for (threat, iterations) in self.phases() {
                let (eot_samples, sparse, last) = (self.eot_samples, self.large_to_small_eps, threat == self.threat);
                let total = rounds * self.iterations;
                let run = Run { query, task, threat, iterations, eot_samples, sparse, last, done, total };
                match run.run_from(starts, &mut found, observer).await? {
                    Some(best) => starts = best,
                    None => return Ok(found),
                }
                done += iterations;
            }
        }
        Ok(found)
    }
}

impl Apgd {
    /// Returns the balls in order, with the iterations in each.
    fn phases(&self) -> Vec<(ThreatModel, usize)> {
        if !self.large_to_small_eps {
            return vec![(self.threat, self.iterations)];
        }
        let part = (3 * self.iterations).div_ceil(10);
        let ball = |times: f32| ThreatModel { epsilon: times * self.threat.epsilon, ..self.threat };
        vec![(ball(3.0), part), (ball(2.0), part), (self.threat, self.iterations - 2 * part)]
    }
}

/// Starting point of one image.
pub struct Start {
    /// Position in the batch.
    pub i: usize,
    pub loss: Loss,
    /// A point of the ball; one outside is projected.
    pub x: Vec<f32>,
}

/// One run of a batch of images in one ball.
pub struct Run<'a, M> {
    pub query: &'a ModelOracle<'a, M>,
    pub task: &'a AttackBatch,
    pub threat: ThreatModel,
    pub iterations: usize,
    /// See [`Apgd::eot_samples`].
    pub eot_samples: usize,
    /// L1: the first steps move as many pixels as the start's perturbation suggests, not a fifth of all.
    pub sparse: bool,
    /// Whether the ball is that of the threat model, not an enlarged one.
    pub last: bool,
    /// Iterations of the attack before this run, and in total.
    pub done: usize,
    pub total: usize,
}

impl<M: Classifier> Run<'_, M> {
    /// Maximizes the loss from `starts`. Returns the points of highest loss, or `None` if the observer stopped the run.
    /// Images leave the batch once the attack has succeeded.
    ///
    /// # Errors
    /// If the model returns NaN or infinity, or the device fails.
    pub async fn run_from(
        &self,
        starts: Vec<Start>,
        found: &mut [AttackOutcome],
        observer: &mut impl Observer,
    ) -> Result<Option<Vec<Start>>, Error> {
        let (done, total) = (self.done, self.total);
        let mut points: Vec<Point> = starts.into_iter().map(|start| self.point(start)).collect();
        let losses = self.evaluate(&mut points, found).await?;
        if done == 0 {
            self.query.check_gradients(&points.iter().flat_map(|p| &p.gradient).copied().collect::<Vec<_>>());
        }
        for (p, loss) in points.iter_mut().zip(losses) {
            (p.best_loss, p.last_loss, p.checked_loss) = (loss, loss, loss);
            p.best_gradient = p.gradient.clone();
        }
        let checkpoints = checkpoints(self.threat.norm, self.iterations);
        let mut period_began = 0;
        for iteration in 0..self.iterations {
            // A single forward pass of a randomized model is not conclusive: its images stay in the batch.
            if self.last && self.eot_samples == 1 {
                points.retain(|p| !found[p.i].succeeded());
            }
            if points.is_empty() {
                // Report at least one step if the starting points succeed.
                let progress = Progress { done: (done + iteration).max(1), total, found };
                return Ok(observer.step(progress).await.is_continue().then(Vec::new));
            }
            points.iter_mut().for_each(|p| p.advance(&self.threat, iteration == 0));
            let losses = self.evaluate(&mut points, found).await?;
            points.iter_mut().zip(losses).for_each(|(p, loss)| p.record(loss));
            if checkpoints.contains(&(iteration + 1)) {
                let period = iteration + 1 - period_began;
                points.iter_mut().for_each(|p| p.check(&self.threat, period));
                period_began = iteration + 1;
            }
            let progress = Progress { done: done + iteration + 1, total, found };
            if observer.step(progress).await.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(points.into_iter().map(|p| Start { i: p.i, loss: p.loss, x: p.best }).collect()))
    }

    fn point(&self, Start { i, loss, x: mut x_adv }: Start) -> Point<'_> {
        let x = self.task.image(i);
        self.threat.project(&mut x_adv, x);
        let n = x.len();
        let moved = x_adv.iter().zip(x).filter(|(a, x)| a != x).count();
        Point {
            i,
            x,
            goal: self.task.goals[i],
            loss,
            previous: x_adv.clone(),
            gradient: Vec::new(),
            best: x_adv.clone(),
            best_gradient: Vec::new(),
            best_loss: 0.0,
            step: first_step(&self.threat),
            last_loss: 0.0,
            rises: 0,
            checked_loss: 0.0,
            halved: true,
            moves: if self.sparse { (2 * moved).div_ceil(3) } else { n.div_ceil(5) },
            moved: if self.sparse { moved } else { n },
            x_adv,
        }
    }

    /// Computes the gradient of each point and returns the losses; updates the outcomes.
    async fn evaluate(&self, points: &mut [Point<'_>], found: &mut [AttackOutcome]) -> Result<Vec<f64>, Error> {
        let x_adv: Vec<f32> = points.iter().flat_map(|p| &p.x_adv).copied().collect();
        let n = self.query.values();
        let mut losses = vec![0.0; points.len()];
        for sample in 0..self.eot_samples {
            let cotangent = |k: usize, z: &[f32], dz: &mut [f32]| {
                losses[k] = points[k].loss.value_and_grad(points[k].goal, z, dz);
            };
            let (logits, gradients) = self.query.gradient(&x_adv, cotangent).await?;
            for ((p, g), z) in points.iter_mut().zip(gradients.chunks(n)).zip(logits.rows()) {
                if sample == 0 {
                    p.gradient = g.to_vec();
                } else {
                    p.gradient.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
                }
                // The last sample decides, as in the reference implementation.
                if self.last && sample + 1 == self.eot_samples {
                    let distance = || self.threat.distance(&p.x_adv, p.x);
                    found[p.i].keep_if_worse(&p.x_adv, p.goal.margin(z), distance);
                }
            }
        }
        Ok(losses)
    }
}

fn first_step(threat: &ThreatModel) -> f32 {
    match threat.norm {
        Norm::Linf | Norm::L2 => 2.0 * threat.epsilon,
        Norm::L1 => threat.epsilon,
    }
}

impl Point<'_> {
    /// Moves to the next iterate: a projected step with momentum (algorithm 1, lines 7 and 8). L1 has no momentum.
    fn advance(&mut self, threat: &ThreatModel, first: bool) {
        let direction = match threat.norm {
            Norm::L1 => sparse_sign(&self.gradient, self.moves),
            _ => threat.steepest_ascent(&self.gradient),
        };
        let mut next: Vec<f32> = self.x_adv.iter().zip(direction).map(|(x, d)| x + self.step * d).collect();
        threat.project(&mut next, self.x);
        if threat.norm != Norm::L1 && !first {
            for ((next, &x), &previous) in next.iter_mut().zip(&self.x_adv).zip(&self.previous) {
                *next = x + (1.0 - MOMENTUM) * (*next - x) + MOMENTUM * (x - previous);
            }
            threat.project(&mut next, self.x);
        }
        self.previous = std::mem::replace(&mut self.x_adv, next);
    }

    fn record(&mut self, loss: f64) {
        self.rises += usize::from(loss > self.last_loss);
        self.last_loss = loss;
        if loss > self.best_loss {
            self.best_loss = loss;
            self.best.clone_from(&self.x_adv);
            self.best_gradient.clone_from(&self.gradient);
        }
    }

    /// At a checkpoint, `period` iterations after the last one.
    fn check(&mut self, threat: &ThreatModel, period: usize) {
        let back = if threat.norm == Norm::L1 {
            let moved = self.best.iter().zip(self.x).filter(|(a, x)| a != x).count();
            let sparser = (moved as f64) < 0.95 * self.moved as f64;
            let longest = first_step(threat);
            self.step = if sparser { longest } else { (self.step / SHORTER).max(longest / 10.0) };
            self.moves = (2 * moved).div_ceil(3);
            self.moved = moved;
            sparser
        } else {
            // Too few steps increased the loss, or the last period at this step size did not improve the best loss.
            let stuck = !self.halved && self.checked_loss >= self.best_loss;
            self.halved = self.rises as f64 <= RISING * period as f64 || stuck;
            self.checked_loss = self.best_loss;
            if self.halved {
                self.step /= 2.0;
            }
            self.halved
        };
        self.rises = 0;
        if back {
            self.x_adv.clone_from(&self.best);
            self.gradient.clone_from(&self.best_gradient);
        }
    }
}
