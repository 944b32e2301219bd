//! Sentences about the attack on a batch of images.

use crate::{
    app::{domain::format::interval, state::batch::BatchAttack},
    settings::Settings,
};

/// The text for screen readers: that the attack runs, and its result, but not each progress.
pub fn batch_announcement(batch: &BatchAttack) -> String {
    if batch.running { "The images are being attacked.".into() } else { batch_summary(batch) }
}

/// The progress or the result of the attack.
pub fn batch_summary(batch: &BatchAttack) -> String {
    let config = &batch.config;
    let epsilon = config.get("epsilon").unwrap_or_default();
    let attack = format!("{} within {epsilon} in {}", config.attack, config.norm);
    let Some(report) = &batch.report else {
        let progress = if batch.stopped { "stopped without a result" } else { "the model is classifying the images" };
        return format!("{attack}: {progress}.");
    };
    let [clean, robust] = report.accuracy.shares().map(|share| 100.0 * share);
    let images = report.accuracy.images;
    if batch.running {
        let current = report.records.last().map(|record| record.name.as_str()).unwrap_or_default();
        let done = 100.0 * report.part;
        return format!("{attack}: {current}, {done:.0} % done; robust accuracy so far {robust:.0} %.");
    }
    if batch.stopped {
        return format!("{attack}, stopped early: robust accuracy at most {robust:.1} % of {images} images.");
    }
    format!(
        "{attack}: robust accuracy {robust:.1} % (95 % interval: {}) of {images} images of {}; clean accuracy {clean:.1} %.",
        interval(robust / 100.0, images),
        batch.dataset
    )
}
