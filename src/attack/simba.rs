//! SimBA, a black-box random search over single pixel values.

use rand::seq::SliceRandom;

use super::{
    Attack, AttackBatch, AttackOutcome, Error, Goal, Loss, ModelOracle, Observer, Progress, ThreatModel,
    initial_outcomes, stream, unfooled,
};
use crate::model::Classifier;

/// SimBA in the pixel basis: "Simple Black-box Adversarial Attacks" (Guo et al., 2019, algorithm 1).
///
/// Changes one random pixel value at a time, first up, then down, and keeps a change that lowers the probability of the
/// label. Uses logits only. Works in every norm; the result stays inside the ball. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimBa {
    /// Ball around the image.
    pub threat: ThreatModel,
    /// Size of a change of one value, pixels in [0,1] (usually 0.2).
    pub step: f32,
    /// Pixel values tried, each with one or two queries.
    pub tries: usize,
    /// Seed of the order of the pixel values.
    pub seed: u64,
}

/// Search state of one image.
struct Point<'a> {
    /// Position in the batch.
    i: usize,
    /// Original image.
    x: &'a [f32],
    goal: Goal,
    /// Image with the changes kept so far, and its loss.
    x_adv: Vec<f32>,
    loss: f64,
    /// Pixel values in random order.
    order: Vec<usize>,
}

impl Point<'_> {
    /// Returns the image with the value of this attempt changed by `step`, inside the ball.
    fn candidate(&self, attempt: usize, step: f32, threat: &ThreatModel) -> Vec<f32> {
        let mut x_adv = self.x_adv.clone();
        x_adv[self.order[attempt % self.order.len()]] += step;
        threat.project(&mut x_adv, self.x);
        x_adv
    }
}

/// Log-odds of the goal. They order points as the cross-entropy does, without its saturation.
fn loss(goal: Goal, z: &[f32]) -> f64 {
    Loss::LogOdds.value_and_grad(goal, z, &mut vec![0.0; z.len()])
}

impl Attack for SimBa {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, logits) = initial_outcomes(query, task).await?;
        let mut points: Vec<Point> = Vec::new();
        for i in unfooled(&found) {
            let mut order: Vec<usize> = (0..query.values()).collect();
            order.shuffle(&mut stream(self.seed, task.image_ids[i], 0));
            let (x, goal) = (task.image(i), task.goals[i]);
            points.push(Point { i, x, goal, x_adv: x.to_vec(), loss: loss(goal, logits.row(i)), order });
        }
        for attempt in 0..self.tries {
            if points.is_empty() {
                break;
            }
            let mut unimproved: Vec<usize> = (0..points.len()).collect();
            for step in [self.step, -self.step] {
                let mut candidates = Vec::new();
                for &k in &unimproved {
                    candidates.extend(points[k].candidate(attempt, step, &self.threat));
                }
                let logits = query.logits(&candidates).await?;
                let mut still_unimproved = Vec::new();
                for ((&k, candidate), z) in unimproved.iter().zip(candidates.chunks(query.values())).zip(logits.rows())
                {
                    let point = &mut points[k];
                    // With several classes the margin can fall although the log-odds do not rise.
                    let distance = || self.threat.distance(candidate, point.x);
                    found[point.i].keep_if_worse(candidate, point.goal.margin(z), distance);
                    let value = loss(point.goal, z);
                    if value > point.loss {
                        point.x_adv.copy_from_slice(candidate);
                        point.loss = value;
                    } else {
                        still_unimproved.push(k);
                    }
                }
                unimproved = still_unimproved;
            }
            points.retain(|point| !found[point.i].succeeded());
            if observer.step(Progress { done: attempt + 1, total: self.tries, found: &found }).await.is_break() {
                break;
            }
        }
        Ok(found)
    }
}
