//! Sentences about the attack on a batch of images.

use crate::{
    app::{domain::format::interval, state::batch::BatchAttack},
    settings::Settings,
};

/// What is read aloud of an evaluation on many images: that it runs, and what came of it, but not each percent.
pub fn batch_announcement(run: &BatchAttack) -> String {
    if run.running { "The images are attacked.".into() } else { batch_summary(run) }
}

/// How an evaluation on many images stands.
pub fn batch_summary(many: &BatchAttack) -> String {
    let config = &many.config;
    let attack = format!("{} within {} in {}", config.attack, config.get("epsilon").unwrap_or_default(), config.norm);
    match &many.report {
        None if many.stopped => format!("{attack}: stopped before anything was known."),
        None => format!("{attack}: the model looks at the images."),
        Some(report) => {
            let [clean, robust] = report.accuracy.shares().map(|share| 100.0 * share);
            let n = report.accuracy.images;
            let now = report.records.last().map(|r| r.name.as_str()).unwrap_or_default();
            match (many.running, many.stopped) {
                (true, _) => format!("{attack}: {now}, {:.0} % done; {robust:.0} % still stand.", 100.0 * report.part),
                (_, true) => {
                    format!("{attack}, stopped early: the model holds on at most {robust:.1} % of {n} images.")
                }
                _ => format!(
                    "{attack}: the model holds on {robust:.1} % (95 % interval: {}) of {n} images of {}; without attack it \
                     is right on {clean:.1} %.",
                    interval(robust / 100.0, n),
                    many.set
                ),
            }
        }
    }
}
