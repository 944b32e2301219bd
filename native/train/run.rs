//! The directory of one training run: `checkpoint.safetensors` to go on from, `log.jsonl` with a line a step, the same for
//! TensorBoard, and at the end `model.safetensors`.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use otjr::{
    checkpoint::Checkpoint,
    train::{Record, Trainer},
};

use crate::{events::Events, shell::files};

pub struct RunDirectory {
    path: PathBuf,
    log: File,
    events: Events,
    /// Of the whole run, earlier sittings included.
    pub records: Vec<Record>,
}

impl RunDirectory {
    /// The directory of a run that has done `step` steps; later lines of its log, written after the last checkpoint of
    /// a sitting that was cut short, are dropped.
    pub fn open(path: &Path, step: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("could not create the directory {}", path.display()))?;
        let log_path = path.join("log.jsonl");
        let text = if log_path.exists() {
            fs::read_to_string(&log_path).with_context(|| format!("could not read {}", log_path.display()))?
        } else {
            String::new()
        };
        let records: Vec<Record> = text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .filter(|r: &Record| r.step <= step)
            .collect();
        files::write(&log_path, lines(&records)?.as_bytes())?;
        let log = OpenOptions::new().append(true).open(&log_path);
        let log = log.with_context(|| format!("could not append to {}", log_path.display()))?;
        Ok(Self { path: path.to_owned(), log, events: Events::open(path, step)?, records })
    }

    pub fn checkpoint_path(path: &Path) -> PathBuf {
        path.join("checkpoint.safetensors")
    }

    /// The checkpoint in the directory, if there is one.
    pub fn checkpoint(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
        let path = Self::checkpoint_path(path);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(Some(Checkpoint::from_bytes(&bytes).with_context(|| path.display().to_string())?))
    }

    /// Seconds that earlier sittings took.
    pub fn earlier(&self) -> f64 {
        self.events.earlier
    }

    /// Adds the steps since the last call, in which so many pictures a second were seen.
    pub fn append(&mut self, records: Vec<Record>, pictures_per_second: f64) -> anyhow::Result<()> {
        let written = self.log.write_all(lines(&records)?.as_bytes());
        written.with_context(|| format!("could not write {}", self.path.join("log.jsonl").display()))?;
        for record in &records {
            let terms = [("loss", Some(record.loss)), ("ce", Some(record.ce)), ("distance", record.distance)];
            let others = [("jacobian", record.jacobian), ("rate", Some(record.rate))];
            let mut scalars: Vec<(&str, f32)> =
                terms.into_iter().chain(others).filter_map(|(tag, value)| Some((tag, value?))).collect();
            if Some(record) == records.last() {
                scalars.push(("pictures_per_second", pictures_per_second as f32));
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

    /// Writes the model alone, for others to open.
    pub fn save_model(&self, trainer: &Trainer) -> anyhow::Result<PathBuf> {
        let path = self.path.join("model.safetensors");
        let checkpoint = pollster::block_on(trainer.checkpoint())?;
        files::write(&path, &checkpoint.without_optimiser().to_bytes())?;
        Ok(path)
    }
}

fn lines(records: &[Record]) -> anyhow::Result<String> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    Ok(text)
}
