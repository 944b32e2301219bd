//! Measures the speed of inference, attacks and training on this machine.

mod conv;
mod inputs;
mod peak_flops;
mod profile;
mod timing;
mod workload;

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, builder::TypedValueParser};
use otjr::{
    model::Architecture,
    platform::{self, DeviceChoice, Opened},
};
use otjr_cli::memory;
use serde_json::json;
use workload::Workload;

/// Measure the speed of inference, attacks and training on random noise (autoattack: on generated shapes).
///
/// Each workload is run once to warm up and then repeated. `spread` is the interquartile range divided by the median.
/// GFLOP/s counts two operations for each multiply-add of convolutions and the last layer. A forward pass, the
/// gradients of the inputs and the gradients of the weights take equally many (step-otjr: 14 + 14 + 3). `memory` is the
/// peak memory of the process so far; for the memory of one workload, run it alone.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Arguments {
    #[arg(required = true, value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    /// wrn-D-W, resnet-18 or preact-resnet-18, with random weights
    #[arg(long, default_value = "wrn-10-1")]
    model: Architecture,
    /// Checkpoint to use instead
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    weights: Option<PathBuf>,
    /// Batch size [default: 64, for wide networks 16 or 4; autoattack 256]
    #[arg(long, value_name = "N", value_parser = number())]
    batch: Option<usize>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = number())]
    threads: Option<usize>,
    #[arg(long, default_value = "cpu", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// Multiply in float16 inside convolutions, if the GPU can
    #[arg(long)]
    mixed: bool,
    /// Seconds for each workload (at least 3 repetitions)
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Number of generated shapes for autoattack
    #[arg(long, alias = "pictures", value_name = "N", default_value = "200", value_parser = number())]
    images: usize,
    /// Print a line of JSON for each workload
    #[arg(long)]
    json: bool,
    /// Repeat the workload once more and print the time of each kernel operation
    #[arg(long, conflicts_with_all = ["json", "on_stdin"])]
    profile: bool,
    /// Print `ready`, then run the workload once for each line on stdin and print its milliseconds
    #[arg(long, alias = "turns")]
    on_stdin: bool,
}

fn number() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(1..=65_536).map(|n| n as usize)
}

fn main() -> ExitCode {
    otjr_cli::main(|| run(&Arguments::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let repeatable = |w: &Workload| !matches!(w, Workload::Autoattack | Workload::Conv | Workload::Peak);
    if arguments.on_stdin && (arguments.workloads.len() != 1 || !arguments.workloads.iter().all(repeatable)) {
        bail!("--on-stdin needs exactly one workload, other than autoattack, conv and peak");
    }
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let opened = pollster::block_on(platform::open(arguments.device))?;
    let table = !arguments.json && !arguments.on_stdin;
    if table && arguments.workloads.iter().any(|w| !matches!(w, Workload::Conv | Workload::Peak)) {
        print_header();
    }
    for &workload in &arguments.workloads {
        match workload {
            Workload::Peak => report_peak(arguments),
            Workload::Conv => {
                let mut model = workload::model(arguments, &opened.device)?;
                let batch = workload::batch(arguments, model.architecture);
                conv::report(&mut model, batch, arguments.seconds, arguments.json, &opened.device)?;
            }
            _ => measure(workload, arguments, &opened)?,
        }
    }
    Ok(())
}

fn report_peak(arguments: &Arguments) {
    let threads = rayon::current_num_threads();
    let (one, all) = (peak_flops::of_one(), peak_flops::of_all());
    if arguments.json {
        println!("{}", json!({"workload": "peak", "gflops_of_one": one, "threads": threads, "gflops": all}));
    } else {
        println!("peak: {one:.1} GFLOP/s on 1 thread, {all:.1} on {threads}");
    }
}

fn measure(workload: Workload, arguments: &Arguments, opened: &Opened) -> anyhow::Result<()> {
    let mut work = workload::prepare(workload, arguments, &opened.device)?;
    let mut multiply_adds = 0;
    let mut repeat = || {
        multiply_adds = (work.repeat)()?;
        Ok(())
    };
    let times = match workload {
        Workload::Autoattack => timing::once(&mut repeat)?,
        _ if arguments.on_stdin => timing::on_stdin(&mut repeat)?,
        _ => timing::repeated(arguments.seconds, || (), |()| repeat())?,
    };
    let memory = memory::peak();
    if arguments.profile {
        profile::report(times.len(), &mut repeat)?;
    }
    if times.is_empty() || arguments.on_stdin && !arguments.json {
        return Ok(());
    }
    let median = times.quantile(0.5);
    let (name, threads, n) = (workload.name(), rayon::current_num_threads(), work.batch);
    let rate = 1e3 * work.images as f64 / median;
    let gflops = 2e-6 * multiply_adds as f64 / median;
    if arguments.json {
        let row = json!({
            "workload": name, "model": work.model, "parameters": work.parameters, "batch": n, "threads": threads,
            "device": opened.name, "repetitions": times.len(), "median_ms": median, "min_ms": times.quantile(0.0),
            "quartiles_ms": [times.quantile(0.25), times.quantile(0.75)], "pictures_per_second": rate,
            "gflops": gflops, "memory_bytes": memory,
        });
        println!("{row}");
    } else {
        let (min, spread) = (times.quantile(0.0), 100.0 * times.spread());
        let memory = memory.map_or_else(String::new, |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
        println!(
            "{name:14} {:16} {n:>5} {threads:>7} {median:>10.2} {min:>10.2} {spread:>6.1} % {rate:>10.1} {gflops:>8.1} {memory:>9}",
            work.model
        );
    }
    Ok(())
}

fn print_header() {
    println!(
        "{:14} {:16} {:>5} {:>7} {:>10} {:>10} {:>8} {:>10} {:>8} {:>9}",
        "workload", "model", "batch", "threads", "median ms", "min ms", "spread", "images/s", "GFLOP/s", "memory"
    );
}
