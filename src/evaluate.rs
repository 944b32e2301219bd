//! Accuracy on clean and on attacked pictures.

use std::ops::ControlFlow;

use burn::tensor::{Device, ExecutionError};
use serde::{Deserialize, Serialize};

use crate::{
    attack::{Goal, pgd::Pgd},
    batch::Batch,
    config::AttackConfig,
    data::Pictures,
    model::{Model, Pass},
};

/// How many of a set's pictures a model gets right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accuracy {
    pub pictures: usize,
    /// Right on the clean picture.
    pub clean: usize,
    /// Right on the worst picture that the attack found.
    pub robust: usize,
}

impl Accuracy {
    /// Shares in [0,1]: clean, robust.
    pub fn shares(&self) -> [f64; 2] {
        [self.clean, self.robust].map(|n| n as f64 / self.pictures.max(1) as f64)
    }
}

/// Evaluates `model` on `pictures` under an attack, in batches; `progress` sees the counts after each and may end it.
pub async fn accuracy(
    model: &Model,
    pictures: &Pictures,
    attack: &AttackConfig,
    batch_size: usize,
    device: &Device,
    mut progress: impl FnMut(&Accuracy) -> ControlFlow<()>,
) -> Result<Accuracy, ExecutionError> {
    let mut accuracy = Accuracy::default();
    let pgd = Pgd::from(attack);
    let all: Vec<usize> = (0..pictures.len()).collect();
    for ids in all.chunks(batch_size.max(1)) {
        let batch = Batch::new(pictures, ids, device);
        let goal = Goal::Avoid(batch.y.clone());
        let numbers: Vec<u64> = ids.iter().map(|&i| i as u64).collect();
        let worst = pgd.run(model, batch.x.clone(), &goal, &numbers, &mut ()).await;
        let clean = goal.margin(model.forward(batch.x, &mut Pass::inference()).logits.value);
        let margins = burn::tensor::Tensor::cat(vec![clean, worst.margin], 0).into_data_async().await?;
        let right: Vec<bool> = margins.iter::<f32>().map(|margin| margin > 0.0).collect();
        let (clean, robust) = right.split_at(ids.len());
        accuracy.pictures += ids.len();
        accuracy.clean += clean.iter().filter(|&&right| right).count();
        accuracy.robust += robust.iter().filter(|&&right| right).count();
        if progress(&accuracy).is_break() {
            break;
        }
    }
    Ok(accuracy)
}
