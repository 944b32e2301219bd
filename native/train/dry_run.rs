//! `--plan`: estimates the time and memory of a run from a few steps on parts of a batch, and on whole batches if they
//! are fast.

use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use otjr::{
    data::{ImageSet, Splits},
    platform::Opened,
    train::{TrainConfig, Trainer, cost::passes_per_step},
};

use otjr_cli::memory;

use crate::train_loop::Data;

/// The measured batches are 1/4 and 1/2 of the whole batch. The smaller comes first, because peak memory never
/// decreases.
const DIVISORS: [usize; 2] = [4, 2];
/// Timed steps of each batch size, after one warm-up step. The median is used.
const STEPS: usize = 5;
/// Whole batches are measured if that takes at most this many seconds.
const WHOLE_BATCH_LIMIT: f64 = 60.0;

/// Time and memory of steps with one batch size.
#[derive(Clone, Copy)]
struct Measurement {
    batch: usize,
    /// Seconds of a step.
    seconds: f64,
    /// Peak memory in bytes, if the system reports it.
    memory: Option<u64>,
}

impl Measurement {
    /// Extrapolates to a larger batch. Memory is extrapolated linearly from this and a smaller batch. Time is
    /// proportional to the batch size, because a slope would amplify noise.
    fn extrapolate(self, batch: usize, small: Self) -> Self {
        let factor = (batch - self.batch) as f64 / (self.batch - small.batch).max(1) as f64;
        let extrapolated = |(a, b): (u64, u64)| b + ((b - a) as f64 * factor) as u64;
        let seconds = self.seconds * batch as f64 / self.batch as f64;
        Self { batch, seconds, memory: small.memory.zip(self.memory).map(extrapolated) }
    }
}

/// Prints the estimates for a run on the first device and the others.
pub fn print(config: &TrainConfig, data: &Data, opened: &Opened, others: &[Opened]) -> anyhow::Result<()> {
    let Data { splits: Splits { train: data, .. }, extra, .. } = data;
    let mut trainer = Trainer::new(config, data, &opened.device)?;
    trainer.extra_data = extra.clone();
    trainer.replicas = others.iter().map(|other| other.device.clone()).collect();
    let devices = [opened].into_iter().chain(others).map(|opened| opened.name.as_str()).collect::<Vec<_>>();
    let (batch, steps) = (trainer.batch_size(data), trainer.steps(data));
    let per_epoch = steps / config.epochs as u64;
    let parameters = trainer.model.parameters();
    let flops = 2 * batch as u64 * passes_per_step(config).multiply_adds(&mut trainer.model);

    let mut measure_batch = |batch: usize| {
        trainer.config = TrainConfig { batch, rate: 0.0, ..config.clone() };
        measure(&mut trainer, batch, data, opened)
    };
    let [small, large] = DIVISORS.map(|divisor| measure_batch((batch / divisor).max(2 * devices.len()).min(batch)));
    let (small, large) = (small?, large?);
    let estimate = large.extrapolate(batch, small);
    let quick = estimate.seconds * (1 + STEPS) as f64 <= WHOLE_BATCH_LIMIT;
    let Measurement { seconds, memory, .. } = if quick { measure_batch(batch)? } else { estimate };
    let span = |seconds: f64| HumanDuration(Duration::from_secs_f64(seconds)).to_string();
    let rows = [
        ("network", format!("{}, {parameters} parameters", config.model)),
        ("objective", config.objective.to_string()),
        ("device", devices.join(", ")),
        ("steps", format!("{steps} of {batch} images: {} epochs of {per_epoch}", config.epochs)),
        (
            "work",
            format!(
                "{:.2} TFLOP for each step, {:.2} PFLOP in total",
                flops as f64 / 1e12,
                (flops * steps) as f64 / 1e15
            ),
        ),
        ("speed", format!("{:.0} GFLOP/s", flops as f64 / 1e9 / seconds)),
        (
            "memory",
            match memory {
                Some(bytes) if !opened.name.starts_with("CPU") => {
                    format!("{:.2} GB, without GPU memory, which is not reported", bytes as f64 / 1e9)
                }
                Some(bytes) => format!("{:.2} GB", bytes as f64 / 1e9),
                None => "not reported by this system".to_owned(),
            },
        ),
        ("step", format!("{seconds:.3} s")),
        ("epoch", span(seconds * per_epoch as f64)),
        ("run", format!("{}, without evaluation", span(seconds * steps as f64))),
    ];
    for (name, value) in rows {
        println!("{name:>10}  {value}");
    }
    let whole = if quick { format!(" and {batch}") } else { String::new() };
    println!("Measured with batches of {}, {}{whole} images.", small.batch, large.batch);
    Ok(())
}

fn measure(trainer: &mut Trainer, batch: usize, data: &ImageSet, opened: &Opened) -> anyhow::Result<Measurement> {
    let mut step = || -> anyhow::Result<()> {
        trainer.step = 0;
        trainer.step(data);
        pollster::block_on(trainer.records(data))?;
        opened.device.sync()?;
        Ok(())
    };
    step()?;
    let mut times = Vec::new();
    for _ in 0..STEPS {
        let begin = Instant::now();
        step()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(Measurement { batch, seconds: times[STEPS / 2], memory: memory::peak() })
}
