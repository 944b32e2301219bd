//! Projected gradient descent (PGD) and its variants FGSM, BIM and MI-FGSM.

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Goal, Loss, ModelOracle, Norm, Observer, Progress,
    StepSchedule, ThreatModel, initial_outcomes, stream, unfooled,
};

/// PGD: "Towards Deep Learning Models Resistant to Adversarial Attacks" (Madry et al., 2018).
///
/// Repeats x <- project(x + step * steepest_ascent(d loss/dx)). With other parameters it is FGSM (Goodfellow et al., 2015), BIM
/// (Kurakin et al., 2017) or MI-FGSM (Dong et al., 2018). Norms: L-inf, L2, L1. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Debug, PartialEq)]
pub struct Pgd {
    /// Norm and epsilon (pixels in [0,1]).
    pub threat: ThreatModel,
    /// Loss to maximize.
    pub loss: Loss,
    /// Initial step size in the norm of the threat model, pixels in [0,1] (usually epsilon / 4).
    pub step: f32,
    /// Step size schedule (usually constant).
    pub schedule: StepSchedule,
    /// Steps per restart (usually 20).
    pub steps: usize,
    /// Number of restarts (usually 1).
    pub restarts: usize,
    /// Whether to start at a random point in the ball. Otherwise the first restart starts at the image.
    pub random_start: bool,
    /// Decay of the accumulated gradient: 0 disables momentum, 1 is MI-FGSM.
    pub momentum: f32,
    /// Whether to stop on an image at the first success instead of lowering its margin further.
    pub early_stop: bool,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Pgd {
    /// Returns FGSM: one step of size epsilon.
    pub fn fgsm(threat: ThreatModel) -> Self {
        Self {
            threat,
            loss: Loss::CrossEntropy,
            step: threat.epsilon,
            schedule: StepSchedule::Constant,
            steps: 1,
            restarts: 1,
            random_start: false,
            momentum: 0.0,
            early_stop: false,
            seed: 0,
        }
    }

    /// Returns the size of step `i`.
    fn length(&self, i: usize) -> f32 {
        let done = i as f32 / self.steps as f32;
        self.step
            * match self.schedule {
                StepSchedule::Constant => 1.0,
                StepSchedule::Linear => 1.0 - done,
                StepSchedule::Cosine => 0.5 * (1.0 + (std::f32::consts::PI * done).cos()),
            }
    }
}

/// State of one image.
struct Point<'a> {
    i: usize,
    x: &'a [f32],
    goal: Goal,
    x_adv: Vec<f32>,
    /// Empty without momentum.
    accumulated: Vec<f32>,
}

impl Attack for Pgd {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, _) = initial_outcomes(query, task).await?;
        let attacked = unfooled(&found);
        for restart in 0..self.restarts {
            let mut points: Vec<Point> = attacked
                .iter()
                .filter(|&&i| !(self.early_stop && found[i].succeeded()))
                .map(|&i| self.start(task, i, restart))
                .collect();
            for step in 0..self.steps {
                if points.is_empty() {
                    break;
                }
                let x_adv: Vec<f32> = points.iter().flat_map(|p| &p.x_adv).copied().collect();
                let loss = |k: usize, z: &[f32], dz: &mut [f32]| {
                    self.loss.unsaturated().value_and_grad(points[k].goal, z, dz);
                };
                let (logits, gradients) = query.gradient(&x_adv, loss).await?;
                if step == 0 && restart == 0 {
                    query.check_gradients(&gradients);
                }
                for ((point, z), gradient) in points.iter_mut().zip(logits.rows()).zip(gradients.chunks(query.values()))
                {
                    self.update_outcome(point, z, &mut found);
                    self.advance(point, gradient, step);
                }
                if step + 1 == self.steps {
                    let x_adv: Vec<f32> = points.iter().flat_map(|p| &p.x_adv).copied().collect();
                    let logits = query.logits(&x_adv).await?;
                    points.iter().zip(logits.rows()).for_each(|(point, z)| self.update_outcome(point, z, &mut found));
                } else if self.early_stop {
                    points.retain(|p| !found[p.i].succeeded());
                }
                let done = restart * self.steps + step + 1;
                let progress = Progress { done, total: self.restarts * self.steps, found: &found };
                if observer.step(progress).await.is_break() {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

impl Pgd {
    fn start<'a>(&self, task: &'a AttackBatch, i: usize, restart: usize) -> Point<'a> {
        let x = task.image(i);
        let x_adv = if self.random_start || restart > 0 {
            self.threat.random(x, &mut stream(self.seed, task.image_ids[i], restart))
        } else {
            x.to_vec()
        };
        let accumulated = if self.momentum > 0.0 { vec![0.0; x.len()] } else { Vec::new() };
        Point { i, x, goal: task.goals[i], x_adv, accumulated }
    }

    fn update_outcome(&self, point: &Point, z: &[f32], found: &mut [AttackOutcome]) {
        let distance = || self.threat.distance(&point.x_adv, point.x);
        found[point.i].keep_if_worse(&point.x_adv, point.goal.margin(z), distance);
    }

    fn advance(&self, point: &mut Point, gradient: &[f32], step: usize) {
        let ahead = if self.momentum > 0.0 {
            let size = Norm::L1.norm(gradient.iter().copied()).max(f32::MIN_POSITIVE);
            for (sum, g) in point.accumulated.iter_mut().zip(gradient) {
                *sum = self.momentum * *sum + g / size;
            }
            self.threat.steepest_ascent(&point.accumulated)
        } else {
            self.threat.steepest_ascent(gradient)
        };
        let length = self.length(step);
        point.x_adv.iter_mut().zip(ahead).for_each(|(x, d)| *x += length * d);
        self.threat.project(&mut point.x_adv, point.x);
    }
}
