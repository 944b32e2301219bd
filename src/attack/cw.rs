//! The L2 attack of Carlini and Wagner.

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Goal, Loss, ModelOracle, Observer, Progress, ThreatModel,
    initial_outcomes, unfooled,
};

/// "Towards Evaluating the Robustness of Neural Networks" (Carlini and Wagner, 2017, section VI.A).
///
/// Minimizes |d|^2 + c max(margin + kappa, 0) with Adam in tanh space, and searches for the smallest c that succeeds. Norm:
/// L2 only. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CarliniWagner {
    /// Must have norm L2. The attack does not use epsilon, which only decides whether a perturbation counts.
    pub threat: ThreatModel,
    /// Adam steps for each c (usually 200).
    pub steps: usize,
    /// Number of values of c per image (usually 9).
    pub searches: usize,
    /// Learning rate of Adam (usually 0.01).
    pub rate: f32,
    /// kappa: required margin beyond the decision boundary, in logits (usually 0).
    pub confidence: f32,
}

/// Initial c.
const FIRST: f32 = 0.1;

/// State of one image.
struct Point<'a> {
    i: usize,
    x: &'a [f32],
    goal: Goal,
    /// Current c, the largest that failed and the smallest that succeeded.
    c: f32,
    failed: f32,
    succeeded: f32,
    /// Variable w with x' = (1 + tanh w) / 2, and the two moments of Adam.
    w: Vec<f32>,
    means: [Vec<f32>; 2],
    success: bool,
}

impl Attack for CarliniWagner {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, _) = initial_outcomes(query, task).await?;
        let mut points: Vec<Point> = unfooled(&found)
            .into_iter()
            .map(|i| {
                let (w, means) = (Vec::new(), [Vec::new(), Vec::new()]);
                let (x, goal) = (task.image(i), task.goals[i]);
                Point { i, x, goal, c: FIRST, failed: 0.0, succeeded: f32::INFINITY, w, means, success: false }
            })
            .collect();
        let total = self.searches * self.steps;
        for search in 0..self.searches {
            points.iter_mut().for_each(Point::restart);
            for step in 0..self.steps {
                if points.is_empty() {
                    return Ok(found);
                }
                let x_adv: Vec<f32> = points.iter().flat_map(Point::image).collect();
                let cotangent = |k: usize, z: &[f32], dz: &mut [f32]| {
                    let p = &points[k];
                    if p.goal.margin(z) + self.confidence > 0.0 {
                        Loss::Margin.value_and_grad(p.goal, z, dz);
                    }
                };
                let (logits, gradients) = query.gradient(&x_adv, cotangent).await?;
                let rows = x_adv.chunks(query.values()).zip(gradients.chunks(query.values())).zip(logits.rows());
                for (p, ((x_adv, gradient), z)) in points.iter_mut().zip(rows) {
                    let margin = p.goal.margin(z);
                    if margin <= -self.confidence {
                        p.success = true;
                        let distance = self.threat.distance(x_adv, p.x);
                        found[p.i].keep_if_closer(x_adv, margin, distance, &self.threat);
                    }
                    p.descend(x_adv, gradient, self.rate, step);
                }
                let progress = Progress { done: search * self.steps + step + 1, total, found: &found };
                if observer.step(progress).await.is_break() {
                    return Ok(found);
                }
            }
            points.iter_mut().for_each(Point::search);
        }
        Ok(found)
    }
}

impl Point<'_> {
    /// Resets w to the image, slightly inside [0,1] to keep the derivative of tanh positive.
    fn restart(&mut self) {
        self.w = self.x.iter().map(|x| ((2.0 * x - 1.0) * 0.999_999).atanh()).collect();
        self.means = [vec![0.0; self.x.len()], vec![0.0; self.x.len()]];
        self.success = false;
    }

    fn image(&self) -> impl Iterator<Item = f32> {
        self.w.iter().map(|w| (0.5 * (1.0 + w.tanh())).clamp(0.0, 1.0))
    }

    /// One step of Adam; `gradient` is that of minus the margin.
    fn descend(&mut self, x_adv: &[f32], gradient: &[f32], rate: f32, step: usize) {
        let [first, second] = &mut self.means;
        let correct = |decay: f32| 1.0 - decay.powi(step as i32 + 1);
        let (correct1, correct2) = (correct(0.9), correct(0.999));
        for (j, w) in self.w.iter_mut().enumerate() {
            let slope = 0.5 * (1.0 - w.tanh().powi(2));
            let g = (2.0 * (x_adv[j] - self.x[j]) - self.c * gradient[j]) * slope;
            first[j] = 0.9 * first[j] + 0.1 * g;
            second[j] = 0.999 * second[j] + 0.001 * g * g;
            *w -= rate * (first[j] / correct1) / ((second[j] / correct2).sqrt() + 1e-8);
        }
    }

    /// Updates c: bisection between the largest failure and the smallest success, or times 10 before the first success.
    fn search(&mut self) {
        if self.success {
            self.succeeded = self.c;
        } else {
            self.failed = self.c;
        }
        self.c = if self.succeeded.is_finite() { (self.failed + self.succeeded) / 2.0 } else { 10.0 * self.c };
    }
}
