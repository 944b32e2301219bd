//! `--plan`: what a run would take, told from a few steps of it on parts of a batch.

use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use otjr::{config::TrainConfig, data::Pictures, model::cost::Passes, platform::Opened, train::Trainer};

use crate::memory;

/// Shares of the batch that are tried, the smaller first: the most memory that was held never falls.
const SHARES: [usize; 2] = [4, 2];
/// Steps timed at each, after one that is not.
const STEPS: u32 = 2;

/// One measurement.
#[derive(Clone, Copy)]
struct Tried {
    batch: usize,
    /// Of a step.
    seconds: f64,
    /// The most that the program has held, in bytes, where the system tells.
    memory: Option<u64>,
}

/// Prints the plan of a run on `data`.
pub fn print(config: &TrainConfig, data: &Pictures, extra: &Pictures, opened: &Opened) -> anyhow::Result<()> {
    let mut trainer = Trainer::new(config, data, &opened.device)?;
    trainer.extra = extra.clone();
    let (batch, steps) = (trainer.batch_size(data), trainer.steps(data));
    let per_epoch = steps / config.epochs as u64;
    let parameters = trainer.model.parameters();
    let flops = 2 * batch as u64 * Passes::of_step(config).multiply_adds(&mut trainer.model);

    let [small, large] = SHARES.map(|share| {
        let batch = (batch / share).max(2);
        trainer.config = TrainConfig { batch, rate: 0.0, ..config.clone() };
        measure(&mut trainer, batch, data, opened)
    });
    let (small, large) = (small?, large?);
    // Both grow with the batch along a line.
    let along = |a: f64, b: f64| {
        let slope = if large.batch > small.batch { (b - a) / (large.batch - small.batch) as f64 } else { 0.0 };
        b + slope.max(0.0) * (batch - large.batch) as f64
    };
    let seconds = along(small.seconds, large.seconds);
    let memory = small.memory.zip(large.memory).map(|(a, b)| along(a as f64, b as f64));
    let span = |seconds: f64| HumanDuration(Duration::from_secs_f64(seconds)).to_string();
    let rows = [
        ("network", format!("{}, {parameters} parameters", config.model)),
        ("objective", config.objective.to_string()),
        ("device", opened.name.clone()),
        ("steps", format!("{steps} of {batch} pictures: {} epochs of {per_epoch}", config.epochs)),
        ("work", format!("{:.2} TFLOP a step, {:.2} PFLOP in all", flops as f64 / 1e12, (flops * steps) as f64 / 1e15)),
        ("speed", format!("{:.0} GFLOP/s", flops as f64 / 1e9 / seconds)),
        (
            "memory",
            match memory {
                Some(bytes) if !opened.name.starts_with("CPU") => {
                    format!("{:.2} GB beside the GPU's, which does not tell", bytes / 1e9)
                }
                Some(bytes) => format!("{:.2} GB", bytes / 1e9),
                None => "this system does not tell".to_owned(),
            },
        ),
        ("step", format!("{seconds:.3} s")),
        ("epoch", span(seconds * per_epoch as f64)),
        ("run", format!("{}, without evaluation", span(seconds * steps as f64))),
    ];
    for (name, value) in rows {
        println!("{name:>10}  {value}");
    }
    println!("Measured in steps of {} and {} pictures.", small.batch, large.batch);
    Ok(())
}

fn measure(trainer: &mut Trainer, batch: usize, data: &Pictures, opened: &Opened) -> anyhow::Result<Tried> {
    let mut step = || -> anyhow::Result<()> {
        trainer.step = 0;
        trainer.step(data);
        pollster::block_on(trainer.records(data))?;
        opened.device.sync()?;
        Ok(())
    };
    step()?;
    let begin = Instant::now();
    for _ in 0..STEPS {
        step()?;
    }
    Ok(Tried { batch, seconds: begin.elapsed().as_secs_f64() / f64::from(STEPS), memory: memory::peak() })
}
