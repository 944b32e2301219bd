//! Projected gradient descent (Madry et al., 2018) and its one-step ancestor FGSM (Goodfellow et al., 2015).

use burn::tensor::Tensor;

use super::{Classifier, Goal, Observer, Progress, Threat, Worst, input_gradient};
use crate::config::{AttackConfig, AttackKind};

/// x <- project(x + step * steepest(d loss/dx)), `steps` times, from `restarts` starting points.
#[derive(Clone, Debug, PartialEq)]
pub struct Pgd {
    pub threat: Threat,
    /// Length of a step in the threat's norm, pixels in [0,1].
    pub step: f32,
    pub steps: usize,
    pub restarts: usize,
    /// Start anywhere in the ball rather than at the picture. With several restarts only the first starts at the picture.
    pub random_start: bool,
    pub seed: u64,
}

impl From<&AttackConfig> for Pgd {
    fn from(c: &AttackConfig) -> Self {
        let threat = Threat { norm: c.norm, epsilon: c.epsilon.0 };
        match c.attack {
            AttackKind::Fgsm => Self::fgsm(threat),
            AttackKind::Pgd => Self {
                threat,
                step: c.step.0,
                steps: c.steps,
                restarts: c.restarts,
                random_start: c.random_start,
                seed: c.seed,
            },
        }
    }
}

impl Pgd {
    /// One step to the surface of the ball.
    pub fn fgsm(threat: Threat) -> Self {
        Self { threat, step: threat.epsilon, steps: 1, restarts: 1, random_start: false, seed: 0 }
    }

    /// Attacks pictures `x` `[B, 3, H, W]`; gives each one's worst point and its margin.
    ///
    /// `ids` number the pictures: a picture's random starts depend on its id and the seed, not on its batch.
    pub async fn run(
        &self,
        model: &impl Classifier,
        x: Tensor<4>,
        goal: &Goal,
        ids: &[u64],
        observer: &mut impl Observer,
    ) -> Worst {
        let mut worst = Worst::new(x.clone(), model.logits(x.clone()), goal);
        let total = self.restarts * self.steps;
        for restart in 0..self.restarts {
            let mut x_adv = if self.random_start || restart > 0 {
                let start = self.threat.random(x.dims(), self.seed, ids, restart as u64, &x.device());
                self.threat.project(x.clone() + start, x.clone())
            } else {
                x.clone()
            };
            for step in 0..self.steps {
                let (gradient, logits) = input_gradient(model, x_adv.clone(), |z| goal.loss(z));
                worst.offer(x_adv.clone(), logits, goal);
                let ahead = x_adv + self.threat.steepest(gradient).mul_scalar(self.step);
                x_adv = self.threat.project(ahead, x.clone());
                if step + 1 == self.steps {
                    worst.offer(x_adv.clone(), model.logits(x_adv.clone()), goal);
                }
                let progress = Progress { done: restart * self.steps + step + 1, total, worst: &worst };
                if observer.step(progress).await.is_break() {
                    return worst;
                }
            }
        }
        worst
    }
}
