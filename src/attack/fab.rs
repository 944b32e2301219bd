//! Fast adaptive boundary attack.

use rayon::prelude::*;

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Goal, ModelOracle, Observer, Progress, ThreatModel,
    boundary::{Boundary, nearest_boundary, project_onto_hyperplane},
    initial_outcomes, stream,
    threat::{random_direction, rescale},
    unfooled,
};
use crate::prediction::ranking;

/// FAB: "Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack" (Croce and Hein, 2020b, algorithm 1).
///
/// Projects onto the linearized decision boundary with a bias towards the original image, and so minimizes the
/// perturbation. Norms: L-inf, L2, L1. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fab {
    /// Norm and epsilon. Images leave the batch once their perturbation fits into the ball.
    pub threat: ThreatModel,
    /// Number of target classes (most likely first). `None` uses the nearest boundary at each step, which costs a gradient
    /// per class.
    pub targets: Option<usize>,
    /// Restarts per target (usually 1).
    pub restarts: usize,
    /// Iterations per restart (AutoAttack: 100).
    pub iterations: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

/// Maximum weight of the step from the original image.
const ALPHA_MAX: f32 = 0.1;
/// Overshoot of the projections.
const ETA: f32 = 1.05;
/// Factor of the perturbation after a success.
const BETA: f32 = 0.9;

/// State of one image.
struct Point<'a> {
    i: usize,
    x: &'a [f32],
    goal: Goal,
    target: usize,
    x_adv: Vec<f32>,
}

impl Attack for Fab {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, logits) = initial_outcomes(query, task).await?;
        let rounds = self.targets.unwrap_or(1);
        let total = rounds * self.restarts * self.iterations;
        let mut done = 0;
        for round in 0..rounds {
            for restart in 0..self.restarts {
                let start = |i| self.start(task, i, ranking(logits.row(i))[round + 1], round * self.restarts + restart);
                let mut points: Vec<Point> = unfooled(&found).into_iter().map(start).collect();
                for _ in 0..self.iterations {
                    points.retain(|p| !found[p.i].succeeded());
                    if points.is_empty() {
                        break;
                    }
                    let goals: Vec<Goal> = points.iter().map(|p| p.goal).collect();
                    let targets: Vec<usize> = points.iter().map(|p| p.target).collect();
                    let targets = self.targets.map(|_| targets.as_slice());
                    let boundaries =
                        nearest_boundary(query, self.threat.norm, &pixels(&points), &goals, targets).await?;
                    points.par_iter_mut().zip(boundaries).for_each(|(p, boundary)| self.advance(p, &boundary));
                    let logits = query.logits(&pixels(&points)).await?;
                    for (p, z) in points.iter_mut().zip(logits.rows()) {
                        let margin = p.goal.margin(z);
                        let distance = self.threat.distance(&p.x_adv, p.x);
                        found[p.i].keep_if_closer(&p.x_adv, margin, distance, &self.threat);
                        if margin <= 0.0 {
                            p.x_adv.iter_mut().zip(p.x).for_each(|(a, x)| *a = x + (*a - x) * BETA);
                        }
                    }
                    done += 1;
                    if observer.step(Progress { done, total, found: &found }).await.is_break() {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }
}

fn pixels(points: &[Point]) -> Vec<f32> {
    points.iter().flat_map(|p| &p.x_adv).copied().collect()
}

impl Fab {
    fn start<'a>(&self, task: &'a AttackBatch, i: usize, target: usize, run: usize) -> Point<'a> {
        let x = task.image(i);
        // The first restart of each target starts at the image.
        let x_adv = if !run.is_multiple_of(self.restarts) {
            let d = random_direction(self.threat.norm, x.len(), &mut stream(self.seed, task.image_ids[i], run));
            self.threat.perturb(x, &rescale(&d, self.threat.norm, self.threat.epsilon / 2.0))
        } else {
            x.to_vec()
        };
        Point { i, x, goal: task.goals[i], target, x_adv }
    }

    /// Moves to a mean of the projections of the current point and of the original onto the boundary (algorithm 1).
    fn advance(&self, p: &mut Point, Boundary { difference, normal }: &Boundary) {
        let norm = self.threat.norm;
        let c = -f64::from(*difference);
        let way: f64 = normal.iter().zip(&p.x_adv).zip(p.x).map(|((w, a), x)| f64::from(*w) * f64::from(a - x)).sum();
        let from_here = project_onto_hyperplane(norm, &p.x_adv, normal, c);
        let from_original = project_onto_hyperplane(norm, p.x, normal, c + way);
        let size = |d: &[f32]| norm.norm(d.iter().copied()).max(1e-8);
        let (here, original) = (size(&from_here), size(&from_original));
        let alpha = (here / (here + original)).min(ALPHA_MAX);
        for (((a, x), d1), d2) in p.x_adv.iter_mut().zip(p.x).zip(from_here).zip(from_original) {
            *a = ((*a + ETA * d1) * (1.0 - alpha) + (x + ETA * d2) * alpha).clamp(0.0, 1.0);
        }
    }
}
