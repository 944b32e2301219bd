//! The status of training in words, and the data sets to train on.

use crate::{
    app::state::{
        State,
        run::{Run, RunPhase},
        training::Training,
    },
    data::Dataset,
    protocol::UploadedDataset,
};

/// What the run does now.
pub fn status(training: &Training) -> String {
    if training.is_preparing() {
        return "The run is being prepared.".into();
    }
    let Some(run) = &training.run else {
        return "Begin a run: its losses, its accuracy on images that it does not learn from, and what it makes of the \
                image in view appear here."
            .into();
    };
    let (step, steps, epochs) = (run.step, run.info.steps, run.config.epochs.max(1) as u64);
    let epoch = (step.saturating_sub(1) / (steps / epochs).max(1) + 1).min(epochs);
    let place = match run.phase {
        RunPhase::Finished => format!("All {steps} steps are done"),
        _ if run.diverged => {
            let copy = run.last_saved_step.unwrap_or_default();
            format!("Diverged after step {step} of {steps}: “Go on” takes up the copy of step {copy}")
        }
        RunPhase::Paused => format!("Paused after step {step} of {steps}, epoch {epoch} of {epochs}"),
        RunPhase::Running | RunPhase::SingleStep => format!("Step {step} of {steps}, epoch {epoch} of {epochs}"),
    };
    let mut parts = vec![place];
    match run.phase {
        RunPhase::Running | RunPhase::SingleStep if run.active_command.is_none() => {
            parts.push("waiting for the page's other computations".into())
        }
        RunPhase::Finished => {}
        _ if run.images_per_second > 0.0 => parts.push(pace(run)),
        _ => {}
    }
    if run.memory > 0 {
        parts.push(format!("memory {} MB", run.memory.div_ceil(1_000_000)));
    }
    parts.join("; ") + "."
}

fn pace(run: &Run) -> String {
    let speed = if run.images_per_second < 10.0 {
        format!("{:.1}", run.images_per_second)
    } else {
        format!("{:.0}", run.images_per_second)
    };
    let left = match run.seconds_left() {
        Some(s) if s < 90.0 => format!(", about {:.0} s left", s.max(1.0)),
        Some(s) if s < 5400.0 => format!(", about {:.0} min left", s / 60.0),
        Some(s) => format!(", about {:.1} h left", s / 3600.0),
        None => String::new(),
    };
    format!("{speed} images/s{left}")
}

/// What is said aloud of a run: seldom.
pub fn announcement(training: &Training) -> String {
    let Some(run) = &training.run else { return String::new() };
    let tenths = 10 * run.step / run.info.steps.max(1);
    match run.phase {
        RunPhase::Finished => "The run is over.".into(),
        RunPhase::Paused | RunPhase::SingleStep => format!("The run is paused after step {}.", run.step),
        RunPhase::Running if tenths == 0 => "The run has begun.".into(),
        RunPhase::Running => format!("{tenths}0 % of the run is done."),
    }
}

/// How much of the run is done, in [0,1].
pub fn progress(training: &Training) -> f64 {
    training.run.as_ref().map_or(0.0, |run| run.step as f64 / run.info.steps.max(1) as f64)
}

/// What the next run learns from.
pub fn dataset_summary(state: &State) -> String {
    let (data, limit) = (&state.training.data, state.permalink.train.limit);
    if state.training.loading_dataset.is_some() {
        return "The images are being read.".into();
    }
    let dataset = state.permalink.train.dataset;
    let mut text = match &data.uploaded {
        Some(UploadedDataset { name, kind, train_images: train, test_images: test })
            if *kind == dataset.to_string() =>
        {
            let some = if limit > 0 && limit < *train { format!("{limit} of its {train}") } else { train.to_string() };
            format!("{name}: {some} images to learn from, {test} to judge by, {} classes", data.classes.len())
        }
        _ if dataset != Dataset::Synthetic => {
            format!("{dataset}, which is not opened yet: bring it below, or learn from the embedded set")
        }
        _ if limit > 0 => format!("The embedded set of drawn shapes, {limit} images"),
        _ => "The embedded set of drawn shapes".into(),
    };
    if !data.labeled.is_empty() {
        text += &format!("; and yours: {}", labeled_counts(&data.labeled));
    }
    text + "."
}

/// The sets that the next run may learn from: their kinds and what they are called.
pub fn dataset_options(state: &State) -> Vec<(String, String)> {
    let mut sets = vec![(Dataset::Synthetic.to_string(), "the embedded set".to_owned())];
    sets.extend(state.training.data.uploaded.as_ref().map(|set| (set.kind.clone(), set.name.clone())));
    let wanted = state.permalink.train.dataset.to_string();
    if sets.iter().all(|(kind, _)| *kind != wanted) {
        // From an address, or from before a reload.
        let name = format!("{wanted} (not opened yet)");
        sets.push((wanted, name));
    }
    sets
}

/// `2 cat, 1 dog`.
fn labeled_counts(classes: &[(String, usize)]) -> String {
    classes.iter().map(|(class, n)| format!("{n} {class}")).collect::<Vec<_>>().join(", ")
}
