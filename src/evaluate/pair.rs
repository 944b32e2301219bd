//! Images beside what an attack makes of them, to be looked at.

use burn::tensor::Device;

use crate::{
    attack::{
        Attack, AttackBatch, AttackConfig, Error, Goal, ModelOracle, ThreatModel,
        any::build_attacks,
        rounding::{self, Change, change},
    },
    data::{IMAGE_SIZE, ImageSet, to_unit_range},
    model::Model,
    prediction::seen,
};

/// What an attack makes of an image, and a model of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The adversarial image `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    pub attacked: Vec<u8>,
    /// How it differs from the image.
    pub change: Change,
    /// The class that the model names, of the image and of the attacked one.
    pub classes: [usize; 2],
}

/// Attacks the images `ids` of a set, each to the end, with a single attack (no suite).
pub async fn pairs(
    model: &Model,
    images: &ImageSet,
    ids: &[usize],
    attack: &AttackConfig,
    device: &Device,
) -> Result<Vec<Pair>, Error> {
    let query = ModelOracle::new(model, device, [3, IMAGE_SIZE, IMAGE_SIZE], ids.len());
    let labels: Vec<usize> = ids.iter().map(|&i| usize::from(images.labels[i])).collect();
    let task = AttackBatch {
        images: to_unit_range(&images.select(ids).pixels),
        goals: labels.iter().map(|&label| Goal::Untargeted(label)).collect(),
        image_ids: ids.iter().map(|&i| i as u64).collect(),
    };
    let clean = query.logits(&task.images).await?;
    let method = build_attacks(attack, model.classes)?.swap_remove(0).attack;
    let found = method.run(&query, &task, &mut ()).await?;
    let threat = ThreatModel { norm: attack.norm, epsilon: attack.epsilon.0 };
    let mut pairs = Vec::new();
    for (k, (&i, &label)) in ids.iter().zip(&labels).enumerate() {
        let original = images.image(i);
        let rounded = rounding::round(&query, task.goals[k], original, &found[k].x, &threat, attack.seed).await?;
        pairs.push(Pair {
            change: change(original, &rounded.pixels),
            classes: [clean.row(k), &rounded.logits].map(|z| seen(z, label)),
            attacked: rounded.pixels,
        });
    }
    Ok(pairs)
}
