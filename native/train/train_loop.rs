//! One objective trained to its end, in sittings: steps, progress, checkpoints, epochs judged.

use std::{
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use otjr::{
    checkpoint::Checkpoint,
    data::{ImageSet, Splits},
    evaluate::State,
    model::{Architecture, Model, head},
    platform::Opened,
    train::{
        Record, TrainConfig, Trainer,
        validation::{self, Validation},
    },
};

use otjr_cli::{console::Console, interrupt::Interrupt};

use crate::run_dir::RunDirectory;

/// Steps between two reads from the device.
const READ_EVERY: u64 = 10;

/// What a run begins with, learns from and is judged by.
pub struct Data {
    pub splits: Splits,
    /// Taken out of the training images to choose an epoch by.
    pub held_out: ImageSet,
    /// From a second data set.
    pub extra: Arc<ImageSet>,
    /// The model that it begins with, if not with fresh weights.
    pub weights: Option<Checkpoint>,
}

/// What a run is computed on, and who is told.
pub struct Machine<'a> {
    pub opened: &'a Opened,
    pub others: &'a [Opened],
    pub interrupt: &'a Interrupt,
    pub console: Console,
}

/// What a run has come to.
pub struct Trained {
    pub model: Model,
    pub steps: u64,
    pub log: Vec<Record>,
    pub validations: Vec<Validation>,
    /// That all sittings took.
    pub seconds: f64,
}

/// Trains to the end of the run, or until it is interrupted: then there is nothing to return but a checkpoint on disk.
pub fn train(
    config: &TrainConfig,
    Data { splits: data, held_out, extra, weights }: &Data,
    &Machine { opened, others, interrupt, console }: &Machine,
    folder: &Path,
    save_every: Duration,
) -> anyhow::Result<Option<Trained>> {
    let mut trainer = match (RunDirectory::checkpoint(folder)?, weights) {
        (Some(checkpoint), _) => Trainer::resume(&checkpoint, &data.train, &opened.device)?,
        (None, Some(model)) => {
            let (arrays, classes) = (model.model_arrays(), &data.train.classes);
            let known = model.class_names(Architecture::infer(&arrays)?.1);
            let anew = classes.len() - head::reusable_rows(&known, classes);
            console.say(format_args!("The weights are those given; of {} classes {anew} begin anew", classes.len()));
            Trainer::fine_tune(config, arrays, &known, &data.train, &opened.device)?
        }
        (None, None) => Trainer::new(config, &data.train, &opened.device)?,
    };
    trainer.extra_data = extra.clone();
    trainer.replicas = others.iter().map(|other| other.device.clone()).collect();
    let steps = trainer.steps(&data.train);
    let per_epoch = steps / config.epochs as u64;
    let mut directory = RunDirectory::open(folder, trainer.step, per_epoch)?;
    let bar = (console.bar(steps, "{prefix:>8} {bar:24} {pos}/{len} steps, {eta} left  {msg}")?)
        .with_position(trainer.step)
        .with_prefix(config.objective.to_string());
    bar.reset_eta();
    let (begin, mut saved, mut read) = (Instant::now(), Instant::now(), (Instant::now(), trainer.step));
    loop {
        let epoch = trainer.step / per_epoch;
        let judged = directory.validations.last().map_or(0, |v| v.epoch);
        if !held_out.is_empty() && trainer.step % per_epoch == 0 && judged < epoch {
            let progress = |_: &State| interrupt.flow();
            let Some(judged) = pollster::block_on(validation::validate(&trainer, epoch, held_out, progress))? else {
                bar.abandon();
                return Ok(None);
            };
            let [clean, robust] = [judged.clean, judged.robust].map(|share| 100.0 * share);
            let text = format!("epoch {epoch}: clean {clean:.1} %, PGD-10 {robust:.1} % of those set aside");
            bar.suspend(|| console.say(text));
            directory.judge(&trainer, judged)?;
        }
        if trainer.step == steps || validation::is_over(&directory.validations, config.patience) {
            break;
        }
        if others.is_empty() {
            trainer.step(&data.train);
        } else {
            whole_step(&mut trainer, &data.train)?;
        }
        let stop = interrupt.raised();
        let to_be_judged = !held_out.is_empty() && trainer.step % per_epoch == 0;
        let save = stop || saved.elapsed() >= save_every || trainer.step == steps || to_be_judged;
        if save || trainer.step % READ_EVERY == 0 {
            let records = pollster::block_on(trainer.records(&data.train))?;
            let images = (trainer.step - read.1) as f64 * trainer.batch_size(&data.train) as f64;
            let rate = images / read.0.elapsed().as_secs_f64();
            read = (Instant::now(), trainer.step);
            if let Some(record) = records.last() {
                bar.set_message(format!("{}  {rate:.0} images/s", describe(record)));
            }
            directory.append(records, rate)?;
            bar.set_position(trainer.step);
        }
        if save {
            if bar.is_hidden() {
                // No terminal: a line now and then for whoever reads the log.
                let text = directory.records.last().map(describe).unwrap_or_default();
                console.say(format_args!("{} {}/{steps} steps: {text}", config.objective, trainer.step));
            }
            directory.save(&trainer)?;
            saved = Instant::now();
        }
        if stop {
            bar.abandon();
            return Ok(None);
        }
    }
    bar.finish();
    let history = &directory.validations;
    if let (Some(best), Some(last)) = (validation::best(history), history.last()) {
        let [at_best, at_last] = [best.robust, last.robust].map(|share| 100.0 * share);
        console.say(format_args!(
            "Kept: epoch {} of {}, PGD-10 {at_best:.1} %; the last one had {at_last:.1} %: {:.1} points lost to robust overfitting",
            best.epoch,
            last.epoch,
            at_best - at_last
        ));
    }
    let model = directory.finish(&trainer, &opened.device)?;
    let seconds = directory.earlier() + begin.elapsed().as_secs_f64();
    Ok(Some(Trained {
        model,
        steps: trainer.step,
        log: directory.records,
        validations: directory.validations,
        seconds,
    }))
}

/// A step on several devices. One that is lost, such as of a host that is gone, ends burn's operations in a panic: here it
/// ends the run, which can go on from its checkpoint.
fn whole_step(trainer: &mut Trainer, data: &ImageSet) -> anyhow::Result<()> {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = said.clone();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let mut first = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            let place = panic.location().map_or(String::new(), |place| format!(" ({place})"));
            *first = panic.payload_as_str().unwrap_or("no reason was given").to_owned() + &place;
        }
    }));
    let stepped = panic::catch_unwind(AssertUnwindSafe(|| trainer.step(data)));
    panic::set_hook(hook);
    stepped.map_err(|_| anyhow!("one of the devices failed: {}", said.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// `loss 1.234 = CE 1.1, L_SW 0.002, R 0.3`.
fn describe(record: &Record) -> String {
    let mut text = format!("loss {:.3}, CE {:.3}", record.loss, record.ce);
    if let Some(distance) = record.distance {
        text += &format!(", distance {distance:.4}");
    }
    if let Some(jacobian) = record.jacobian {
        text += &format!(", R {jacobian:.3}");
    }
    text
}
