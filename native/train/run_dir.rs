//! Directory of one training run: `checkpoint.safetensors` to resume from, `log.jsonl` with a line for each step, the
//! same values for TensorBoard, and finally `model.safetensors`. With held-out images, `validation.jsonl` contains a
//! line for each epoch and `best.safetensors` the model of the best epoch.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use burn::tensor::Device;
use otjr::{
    checkpoint::Checkpoint,
    model::Model,
    train::{
        Record, Trainer,
        validation::{self, Validation},
    },
};
use serde::{Serialize, de::DeserializeOwned};

use otjr_cli::files;

use crate::events::{self, Events};

/// File of the initial model, in the directory of `run.json`; see [`weights`].
pub const WEIGHTS: &str = "weights.safetensors";
const LOG: &str = "log.jsonl";
const VALIDATION: &str = "validation.jsonl";
const BEST: &str = "best.safetensors";

/// Files of one training run.
pub struct RunDirectory {
    path: PathBuf,
    log: File,
    events: Events,
    /// Records of all steps, including earlier sessions.
    pub records: Vec<Record>,
    pub validations: Vec<Validation>,
}

impl RunDirectory {
    /// Opens the directory of a run after `step` steps, with `per_epoch` steps in each epoch. Removes later lines from
    /// the logs, which an interrupted session wrote after its last checkpoint.
    pub fn open(path: &Path, step: u64, per_epoch: u64) -> anyhow::Result<Self> {
        files::create_dir(path)?;
        let log_path = path.join(LOG);
        let records = read_log(&log_path, |record: &Record| record.step <= step)?;
        files::write(&log_path, lines(&records)?.as_bytes())?;
        let log = OpenOptions::new().append(true).open(&log_path);
        let log = log.with_context(|| format!("could not append to {}", log_path.display()))?;
        let validations = read_log(&path.join(VALIDATION), |v: &Validation| v.epoch * per_epoch <= step)?;
        Ok(Self { path: path.to_owned(), log, events: Events::open(path, step)?, records, validations })
    }

    /// Returns the path of the checkpoint.
    pub fn checkpoint_path(path: &Path) -> PathBuf {
        path.join("checkpoint.safetensors")
    }

    /// Returns whether the run in `out` has started training, or was created from a checkpoint.
    pub fn has_started(out: &Path) -> anyhow::Result<bool> {
        if !out.join("run.json").exists() {
            return Ok(false);
        }
        let entries = fs::read_dir(out).with_context(|| format!("could not read {}", out.display()))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths.into_iter().any(|path| path.join(LOG).exists() || Self::checkpoint_path(&path).exists()))
    }

    /// Reads the checkpoint, if there is one.
    pub fn checkpoint(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
        read_if_present(&Self::checkpoint_path(path))
    }

    /// Returns the training time of earlier sessions in seconds.
    pub fn earlier_seconds(&self) -> f64 {
        self.events.earlier_seconds
    }

    /// Appends the records of the last steps to the logs.
    pub fn append(&mut self, records: Vec<Record>, images_per_second: f64) -> anyhow::Result<()> {
        let written = self.log.write_all(lines(&records)?.as_bytes());
        written.with_context(|| format!("could not write {}", self.path.join(LOG).display()))?;
        for record in &records {
            let terms = [("loss", Some(record.loss)), ("ce", Some(record.ce)), ("distance", record.distance)];
            let others = [("jacobian", record.jacobian), ("rate", Some(record.rate))];
            let mut scalars: Vec<(&str, f32)> =
                terms.into_iter().chain(others).filter_map(|(tag, value)| Some((tag, value?))).collect();
            if Some(record) == records.last() {
                scalars.push(("pictures_per_second", images_per_second as f32));
            }
            self.events.write(record.step, &scalars)?;
        }
        self.records.extend(records);
        Ok(())
    }

    /// Saves a checkpoint. The log must contain all steps before it.
    pub fn save(&self, trainer: &Trainer) -> anyhow::Result<()> {
        let checkpoint = pollster::block_on(trainer.checkpoint())?;
        files::write(&Self::checkpoint_path(&self.path), &checkpoint.to_bytes())
    }

    /// Adds the accuracies of an epoch, and stores its model if it is the best so far.
    pub fn add_validation(&mut self, trainer: &Trainer, validation: Validation) -> anyhow::Result<()> {
        self.validations.push(validation);
        // The model is written before its line in the log, so that no line exists without its model.
        if validation::best(&self.validations) == Some(&validation) {
            self.write_model(trainer, BEST)?;
        }
        files::write(&self.path.join(VALIDATION), lines(&self.validations)?.as_bytes())?;
        // TensorBoard shows each folder as a run.
        let folder = self.path.join("validation");
        files::create_dir(&folder)?;
        let scalars = |v: &Validation| {
            let step = trainer.step / validation.epoch * v.epoch;
            (step, vec![("accuracy/clean", v.clean as f32), ("accuracy/pgd-10", v.robust as f32)])
        };
        let events = events::file(self.validations.iter().map(scalars));
        files::write(&folder.join(format!("{}0", events::PREFIX)), &events)
    }

    /// Writes `model.safetensors`: the model of the best epoch if epochs were evaluated, otherwise the last one.
    pub fn finish(&self, trainer: &Trainer, device: &Device) -> anyhow::Result<Model> {
        let (best, model) = (self.path.join(BEST), self.path.join("model.safetensors"));
        if self.validations.is_empty() {
            self.write_model(trainer, "model.safetensors")?;
            return Ok(trainer.final_model().clone());
        }
        let CheckpointFile { bytes, checkpoint } = CheckpointFile::read(&best)?;
        files::write(&model, &bytes)?;
        Ok(Model::from_arrays(&checkpoint.model_arrays(), device)?)
    }

    fn write_model(&self, trainer: &Trainer, name: &str) -> anyhow::Result<()> {
        let model = pollster::block_on(trainer.model_file())?;
        files::write(&self.path.join(name), &model.to_bytes())
    }
}

/// A checkpoint of a run or a model, with the bytes of its file.
pub struct CheckpointFile {
    pub bytes: Vec<u8>,
    pub checkpoint: Checkpoint,
}

impl CheckpointFile {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = files::read(path)?;
        let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| path.display().to_string())?;
        Ok(Self { bytes, checkpoint })
    }
}

/// Reads the initial model of the runs in a directory. Returns `None` if they start with random weights.
pub fn weights(out: &Path) -> anyhow::Result<Option<Checkpoint>> {
    read_if_present(&out.join(WEIGHTS))
}

/// Reads a checkpoint, or returns `None` if the file does not exist.
fn read_if_present(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
    if path.exists() { Ok(Some(CheckpointFile::read(path)?.checkpoint)) } else { Ok(None) }
}

/// Reads the wanted lines of a log, up to the first incomplete line. Returns no lines if the file does not exist.
fn read_log<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&T) -> bool) -> anyhow::Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read_text(path)?;
    Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).filter(wanted).collect())
}

fn lines(records: &[impl Serialize]) -> anyhow::Result<String> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    Ok(text)
}
