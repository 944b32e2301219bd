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

/// The status of the current run.
pub fn status(training: &Training) -> String {
    if training.is_preparing() {
        return "The run is being prepared.".into();
    }
    let Some(run) = &training.run else {
        return "Start a run to see its losses, its accuracy on held-out images, and its predictions for the current image \
                here."
            .into();
    };
    let mut parts = vec![position(run)];
    let is_running = matches!(run.phase, RunPhase::Running | RunPhase::SingleStep);
    if is_running && run.active_command.is_none() {
        parts.push("waiting for other computations of the page".into());
    } else if run.phase != RunPhase::Finished && run.images_per_second > 0.0 {
        parts.push(speed(run));
    }
    if run.memory > 0 {
        parts.push(format!("memory {} MB", run.memory.div_ceil(1_000_000)));
    }
    parts.join("; ") + "."
}

/// The step and the epoch.
fn position(run: &Run) -> String {
    let (step, steps, epochs) = (run.step, run.info.steps, run.config.epochs.max(1) as u64);
    let epoch = (step.saturating_sub(1) / (steps / epochs).max(1) + 1).min(epochs);
    match run.phase {
        RunPhase::Finished => format!("All {steps} steps are done"),
        _ if run.diverged => {
            let copy = run.last_saved_step.unwrap_or_default();
            format!("Diverged after step {step} of {steps}: “Resume” continues from the copy at step {copy}")
        }
        RunPhase::Paused => format!("Paused after step {step} of {steps}, epoch {epoch} of {epochs}"),
        RunPhase::Running | RunPhase::SingleStep => format!("Step {step} of {steps}, epoch {epoch} of {epochs}"),
    }
}

fn speed(run: &Run) -> String {
    let speed = run.images_per_second;
    let decimals = if speed < 10.0 { 1 } else { 0 };
    let remaining = match run.seconds_left() {
        Some(seconds) if seconds < 90.0 => format!(", about {:.0} s left", seconds.max(1.0)),
        Some(seconds) if seconds < 5400.0 => format!(", about {:.0} min left", seconds / 60.0),
        Some(seconds) => format!(", about {:.1} h left", seconds / 3600.0),
        None => String::new(),
    };
    format!("{speed:.decimals$} images/s{remaining}")
}

/// The text for screen readers, which changes rarely.
pub fn announcement(training: &Training) -> String {
    let Some(run) = &training.run else { return String::new() };
    let tenths = 10 * run.step / run.info.steps.max(1);
    match run.phase {
        RunPhase::Finished => "The run is finished.".into(),
        RunPhase::Paused | RunPhase::SingleStep => format!("The run is paused after step {}.", run.step),
        RunPhase::Running if tenths == 0 => "The run has started.".into(),
        RunPhase::Running => format!("{tenths}0 % of the run is done."),
    }
}

/// The completed fraction of the run, in [0,1].
pub fn progress(training: &Training) -> f64 {
    training.run.as_ref().map_or(0.0, |run| run.step as f64 / run.info.steps.max(1) as f64)
}

/// The training data of the next run.
pub fn dataset_summary(state: &State) -> String {
    if state.training.loading_dataset.is_some() {
        return "The images are loading.".into();
    }
    let (data, limit) = (&state.training.data, state.permalink.train.limit);
    let dataset = state.permalink.train.dataset;
    let uploaded = data.uploaded.as_ref().filter(|uploaded| uploaded.kind == dataset.to_string());
    let mut text = match uploaded {
        Some(UploadedDataset { name, train_images, test_images, .. }) => {
            let train = if limit > 0 && limit < *train_images {
                format!("{limit} of {train_images}")
            } else {
                train_images.to_string()
            };
            format!("{name}: {train} training images, {test_images} test images, {} classes", data.classes.len())
        }
        None if dataset != Dataset::Synthetic => {
            format!("{dataset} is not opened yet: open it below, or train on the embedded data set")
        }
        None if limit > 0 => format!("The embedded data set of generated shapes, {limit} images"),
        None => "The embedded data set of generated shapes".into(),
    };
    if !data.labeled.is_empty() {
        let counts: Vec<String> = data.labeled.iter().map(|(class, count)| format!("{count} {class}")).collect();
        text += &format!("; and yours: {}", counts.join(", "));
    }
    text + "."
}

/// The data sets that the next run can use: the value of the setting `dataset`, and a name.
pub fn dataset_options(state: &State) -> Vec<(String, String)> {
    let mut options = vec![(Dataset::Synthetic.to_string(), "the embedded data set".to_owned())];
    if let Some(uploaded) = &state.training.data.uploaded {
        options.push((uploaded.kind.clone(), uploaded.name.clone()));
    }
    let selected = state.permalink.train.dataset.to_string();
    if options.iter().all(|(kind, _)| *kind != selected) {
        // The data set of a permalink, or of an earlier session.
        let name = format!("{selected} (not opened yet)");
        options.push((selected, name));
    }
    options
}
