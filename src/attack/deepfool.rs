//! DeepFool.

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Goal, ModelOracle, Observer, Progress, ThreatModel,
    boundary::{nearest_boundary, project_onto_hyperplane},
    initial_outcomes, unfooled,
};

/// "DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks" (Moosavi-Dezfooli et al., 2016, algorithm 2).
///
/// Steps to the nearest linearized decision boundary until the prediction changes. Norms: L-inf, L2, L1. Images
/// `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeepFool {
    /// Norm of the steps. The attack does not use epsilon, which only decides whether a perturbation counts.
    pub threat: ThreatModel,
    /// Maximum number of steps (usually 50).
    pub steps: usize,
}

/// Overshoot beyond the boundary, relative to the perturbation.
const OVERSHOOT: f32 = 0.02;

impl Attack for DeepFool {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, _) = initial_outcomes(query, task).await?;
        let mut points: Vec<(usize, Vec<f32>)> =
            unfooled(&found).into_iter().map(|i| (i, task.image(i).to_vec())).collect();
        for step in 0..self.steps {
            if points.is_empty() {
                break;
            }
            let x: Vec<f32> = points.iter().flat_map(|(_, x)| x).copied().collect();
            let goals: Vec<Goal> = points.iter().map(|(i, _)| task.goals[*i]).collect();
            let boundaries = nearest_boundary(query, self.threat.norm, &x, &goals, None).await?;
            let mut beyond = Vec::with_capacity(x.len());
            for ((i, x_adv), boundary) in points.iter_mut().zip(boundaries) {
                // Slightly beyond the boundary: in float32 a step onto it can vanish.
                let c = -f64::from(boundary.difference) * (1.0 + 1e-4);
                let d = project_onto_hyperplane(self.threat.norm, x_adv, &boundary.normal, c);
                x_adv.iter_mut().zip(d).for_each(|(x, d)| *x += d);
                let overshoot = |(a, x): (&f32, &f32)| (x + (1.0 + OVERSHOOT) * (a - x)).clamp(0.0, 1.0);
                beyond.extend(x_adv.iter().zip(task.image(*i)).map(overshoot));
            }
            let logits = query.logits(&beyond).await?;
            for (((i, _), beyond), z) in points.iter().zip(beyond.chunks(query.values())).zip(logits.rows()) {
                let distance = self.threat.distance(beyond, task.image(*i));
                found[*i].keep_if_closer(beyond, task.goals[*i].margin(z), distance, &self.threat);
            }
            points.retain(|(i, _)| found[*i].distance.is_none());
            if observer.step(Progress { done: step + 1, total: self.steps, found: &found }).await.is_break() {
                break;
            }
        }
        Ok(found)
    }
}
