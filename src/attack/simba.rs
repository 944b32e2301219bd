//! SimBA (Guo et al., 2019): tries one random pixel value after another, up and down, and keeps what helps. Black-box.

use rand::seq::SliceRandom;

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, Loss, ModelOracle, Observer, Progress, ThreatModel,
    initial_outcomes, stream, unfooled,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimBa {
    pub threat: ThreatModel,
    /// How far a value is moved, pixels in [0,1].
    pub step: f32,
    /// Values tried, each with at most two queries.
    pub tries: usize,
    pub seed: u64,
}

impl Attack for SimBa {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, logits) = initial_outcomes(query, task).await?;
        // Only compared, so the log-odds do for the cross-entropy.
        let loss = |i: usize, z: &[f32]| Loss::LogOdds.value_and_grad(task.goals[i], z, &mut vec![0.0; z.len()]);
        let mut points: Vec<(usize, Vec<f32>, f64, Vec<usize>)> = unfooled(&found)
            .into_iter()
            .map(|i| {
                let mut order: Vec<usize> = (0..query.values()).collect();
                order.shuffle(&mut stream(self.seed, task.image_ids[i], 0));
                (i, task.image(i).to_vec(), loss(i, logits.row(i)), order)
            })
            .collect();
        for attempt in 0..self.tries {
            if points.is_empty() {
                break;
            }
            let mut waiting: Vec<usize> = (0..points.len()).collect();
            for step in [self.step, -self.step] {
                let candidates: Vec<f32> = waiting
                    .iter()
                    .flat_map(|&k| {
                        let (i, x, _, order) = &points[k];
                        let mut x = x.clone();
                        x[order[attempt % order.len()]] += step;
                        self.threat.project(&mut x, task.image(*i));
                        x
                    })
                    .collect();
                let logits = query.logits(&candidates).await?;
                let mut tried = candidates.chunks(query.values()).zip(logits.rows());
                waiting.retain(|&k| {
                    let (i, x, best, _) = &mut points[k];
                    let (candidate, z) = tried.next().expect("a candidate for each");
                    let value = loss(*i, z);
                    let distance = || self.threat.distance(candidate, task.image(*i));
                    // Of many classes one may win while the odds of them all fall.
                    found[*i].keep_if_worse(candidate, task.goals[*i].margin(z), distance);
                    let better = value > *best;
                    if better {
                        x.copy_from_slice(candidate);
                        *best = value;
                    }
                    !better
                });
            }
            points.retain(|(i, ..)| !found[*i].succeeded());
            if observer.step(Progress { done: attempt + 1, total: self.tries, found: &found }).await.is_break() {
                break;
            }
        }
        Ok(found)
    }
}
