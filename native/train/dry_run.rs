//! `--plan`: what a run would take, told from a few steps of it: on parts of a batch, and on whole ones where that is quick.

use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use otjr::{
    data::{ImageSet, Splits},
    platform::Opened,
    train::{TrainConfig, Trainer, cost::passes_per_step},
};

use otjr_cli::memory;

use crate::train_loop::Data;

/// The parts of the batch that are tried, the smaller first: the most memory that was held never falls.
const SHARES: [usize; 2] = [4, 2];
/// Steps timed at each, after one that is not; their median counts.
const STEPS: usize = 5;
/// Seconds that steps of the whole batch may take to be tried.
const QUICK: f64 = 60.0;

/// One measurement.
#[derive(Clone, Copy)]
struct Tried {
    batch: usize,
    /// Of a step.
    seconds: f64,
    /// The most that the program has held, in bytes, where the system tells.
    memory: Option<u64>,
}

impl Tried {
    /// What a larger batch would take. Memory grows along a line through this and a smaller one; time nearly in
    /// proportion, and a slope would multiply what disturbs it.
    fn in_proportion(self, batch: usize, small: Self) -> Self {
        let ahead = (batch - self.batch) as f64 / (self.batch - small.batch).max(1) as f64;
        let along = |(a, b): (u64, u64)| b + ((b - a) as f64 * ahead) as u64;
        let seconds = self.seconds * batch as f64 / self.batch as f64;
        Self { batch, seconds, memory: small.memory.zip(self.memory).map(along) }
    }
}

/// Prints the plan of a run on the first device and the others.
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

    let mut tried = |batch: usize| {
        trainer.config = TrainConfig { batch, rate: 0.0, ..config.clone() };
        measure(&mut trainer, batch, data, opened)
    };
    let [small, large] = SHARES.map(|share| tried((batch / share).max(2 * devices.len()).min(batch)));
    let (small, large) = (small?, large?);
    let said = large.in_proportion(batch, small);
    let quick = said.seconds * (1 + STEPS) as f64 <= QUICK;
    let Tried { seconds, memory, .. } = if quick { tried(batch)? } else { said };
    let span = |seconds: f64| HumanDuration(Duration::from_secs_f64(seconds)).to_string();
    let rows = [
        ("network", format!("{}, {parameters} parameters", config.model)),
        ("objective", config.objective.to_string()),
        ("device", devices.join(", ")),
        ("steps", format!("{steps} of {batch} images: {} epochs of {per_epoch}", config.epochs)),
        ("work", format!("{:.2} TFLOP a step, {:.2} PFLOP in all", flops as f64 / 1e12, (flops * steps) as f64 / 1e15)),
        ("speed", format!("{:.0} GFLOP/s", flops as f64 / 1e9 / seconds)),
        (
            "memory",
            match memory {
                Some(bytes) if !opened.name.starts_with("CPU") => {
                    format!("{:.2} GB beside the GPU's, which does not tell", bytes as f64 / 1e9)
                }
                Some(bytes) => format!("{:.2} GB", bytes as f64 / 1e9),
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
    let whole = if quick { format!(", then of {batch}") } else { String::new() };
    println!("Measured in steps of {} and {} images{whole}.", small.batch, large.batch);
    Ok(())
}

fn measure(trainer: &mut Trainer, batch: usize, data: &ImageSet, opened: &Opened) -> anyhow::Result<Tried> {
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
    Ok(Tried { batch, seconds: times[STEPS / 2], memory: memory::peak() })
}
