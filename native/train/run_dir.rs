//! The directory of one training run: `checkpoint.safetensors` to go on from, `log.jsonl` with a line a step, the same
//! for TensorBoard, and at the end `model.safetensors`. Where images are set aside, `validation.jsonl` has a line an epoch, and `best.safetensors` is
//! the model of the best one.

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

/// Beside `run.json`: what [`weights`] reads.
pub const WEIGHTS: &str = "weights.safetensors";
const LOG: &str = "log.jsonl";
const VALIDATION: &str = "validation.jsonl";
const BEST: &str = "best.safetensors";

pub struct RunDirectory {
    path: PathBuf,
    log: File,
    events: Events,
    /// Of the whole run, earlier sittings included.
    pub records: Vec<Record>,
    pub validations: Vec<Validation>,
}

impl RunDirectory {
    /// The directory of a run that has done `step` steps, `per_epoch` in an epoch; later lines of its logs, written after
    /// the last checkpoint of a sitting that was cut short, are dropped.
    pub fn open(path: &Path, step: u64, per_epoch: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("could not create the directory {}", path.display()))?;
        let log_path = path.join(LOG);
        let records = read(&log_path, |record: &Record| record.step <= step)?;
        files::write(&log_path, lines(&records)?.as_bytes())?;
        let log = OpenOptions::new().append(true).open(&log_path);
        let log = log.with_context(|| format!("could not append to {}", log_path.display()))?;
        let validations = read(&path.join(VALIDATION), |v: &Validation| v.epoch * per_epoch <= step)?;
        Ok(Self { path: path.to_owned(), log, events: Events::open(path, step)?, records, validations })
    }

    pub fn checkpoint_path(path: &Path) -> PathBuf {
        path.join("checkpoint.safetensors")
    }

    /// Whether a run in `out` has come to training, or has been brought as a checkpoint.
    pub fn begun(out: &Path) -> anyhow::Result<bool> {
        if !out.join("run.json").exists() {
            return Ok(false);
        }
        let entries = fs::read_dir(out).with_context(|| format!("could not read {}", out.display()))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths.into_iter().any(|path| path.join(LOG).exists() || Self::checkpoint_path(&path).exists()))
    }

    /// The checkpoint in the directory, if there is one.
    pub fn checkpoint(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
        present(&Self::checkpoint_path(path))
    }

    /// Seconds that earlier sittings took.
    pub fn earlier(&self) -> f64 {
        self.events.earlier
    }

    /// Adds the steps since the last call, in which so many images a second were seen.
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

    /// Saves the state of the run. The log must hold all steps up to here.
    pub fn save(&self, trainer: &Trainer) -> anyhow::Result<()> {
        let checkpoint = pollster::block_on(trainer.checkpoint())?;
        files::write(&Self::checkpoint_path(&self.path), &checkpoint.to_bytes())
    }

    /// Adds what an epoch reached, and keeps its model if it is the best so far.
    pub fn judge(&mut self, trainer: &Trainer, judged: Validation) -> anyhow::Result<()> {
        self.validations.push(judged);
        // The model first: a line whose model is missing would be believed.
        if validation::best(&self.validations) == Some(&judged) {
            self.write_model(trainer, BEST)?;
        }
        files::write(&self.path.join(VALIDATION), lines(&self.validations)?.as_bytes())?;
        // TensorBoard shows a folder as a run of its own.
        let folder = self.path.join("validation");
        fs::create_dir_all(&folder).with_context(|| format!("could not create the directory {}", folder.display()))?;
        let scalars = |v: &Validation| {
            let step = trainer.step / judged.epoch * v.epoch;
            (step, vec![("accuracy/clean", v.clean as f32), ("accuracy/pgd-10", v.robust as f32)])
        };
        let events = events::whole(self.validations.iter().map(scalars));
        files::write(&folder.join(format!("{}0", events::PREFIX)), &events)
    }

    /// Writes the model alone, for others to open: that of the best epoch, if epochs were judged.
    pub fn finish(&self, trainer: &Trainer, device: &Device) -> anyhow::Result<Model> {
        let (best, model) = (self.path.join(BEST), self.path.join("model.safetensors"));
        if self.validations.is_empty() {
            self.write_model(trainer, "model.safetensors")?;
            return Ok(trainer.final_model().clone());
        }
        let Saved { bytes, checkpoint } = Saved::read(&best)?;
        files::write(&model, &bytes)?;
        Ok(Model::from_arrays(&checkpoint.model_arrays(), device)?)
    }

    fn write_model(&self, trainer: &Trainer, name: &str) -> anyhow::Result<()> {
        let model = pollster::block_on(trainer.model_file())?;
        files::write(&self.path.join(name), &model.to_bytes())
    }
}

/// A run or a model in a file: its bytes, and what they say.
pub struct Saved {
    pub bytes: Vec<u8>,
    pub checkpoint: Checkpoint,
}

impl Saved {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        let checkpoint = Checkpoint::from_bytes(&bytes).with_context(|| path.display().to_string())?;
        Ok(Self { bytes, checkpoint })
    }
}

/// The model that the runs in a directory begin with, if not with fresh weights.
pub fn weights(out: &Path) -> anyhow::Result<Option<Checkpoint>> {
    present(&out.join(WEIGHTS))
}

/// What a file holds, if it is there.
fn present(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
    if path.exists() { Ok(Some(Saved::read(path)?.checkpoint)) } else { Ok(None) }
}

/// The lines of a log that are wanted, up to the first one that is not whole; none if there is no log.
fn read<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&T) -> bool) -> anyhow::Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
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
