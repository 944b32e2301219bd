//! Measures how fast this machine infers, attacks and trains.

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

/// Measures how fast this machine infers, attacks and trains, on images of noise (autoattack: of the embedded set).
///
/// Warms up once, then repeats. `spread` is how far the middle half of the repetitions is apart, as a share of the median.
/// GFLOP/s counts two for each multiply-add that convolutions and the last layer need: a way forward, the gradients of the
/// inputs and those of the weights take as many each, where each is asked for (step-otjr: 14 + 14 + 3). `memory` is the
/// most that the process has held so far: to know one workload's, ask for it alone.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(required = true, value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    /// wrn-D-W, resnet-18 or preact-resnet-18, with fresh weights
    #[arg(long, default_value = "wrn-10-1")]
    model: Architecture,
    /// The model in this checkpoint instead
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    weights: Option<PathBuf>,
    /// Images at once [default: 64, of wide networks 16 or 4; autoattack 256]
    #[arg(long, value_name = "N", value_parser = number())]
    batch: Option<usize>,
    /// Threads of the CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = number())]
    threads: Option<usize>,
    #[arg(long, default_value = "cpu", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// Multiply in float16 inside convolutions, where the GPU can
    #[arg(long)]
    mixed: bool,
    /// How long to repeat each workload, at least 3 times
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Images of the embedded set that autoattack attacks
    #[arg(long, alias = "images", value_name = "N", default_value = "200", value_parser = number())]
    images: usize,
    /// Print a line of JSON for each workload
    #[arg(long)]
    json: bool,
    /// Repeat as often once more and say which operations of the kernels take the time
    #[arg(long, conflicts_with_all = ["json", "turns"])]
    profile: bool,
    /// Say `ready`, then do the one workload once for every line of the input and print its milliseconds
    #[arg(long)]
    turns: bool,
}

fn number() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(1..=65_536).map(|n| n as usize)
}

fn main() -> ExitCode {
    otjr_cli::main(|| run(&Arguments::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let repeatable = |w: &Workload| !matches!(w, Workload::Autoattack | Workload::Conv | Workload::Peak);
    if arguments.turns && (arguments.workloads.len() != 1 || !arguments.workloads.iter().all(repeatable)) {
        bail!("--turns takes one workload, neither autoattack, conv nor peak");
    }
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let opened = pollster::block_on(platform::open(arguments.device))?;
    let table = !arguments.json && !arguments.turns;
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
        _ if arguments.turns => timing::asked(&mut repeat)?,
        _ => timing::repeated(arguments.seconds, || (), |()| repeat())?,
    };
    let memory = memory::peak();
    if arguments.profile {
        profile::report(times.len(), &mut repeat)?;
    }
    if times.is_empty() || arguments.turns && !arguments.json {
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
