//! Speed of each convolution shape of a model: forward pass and both gradients, compared with the machine's peak.

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    kernel::{self, Weight, profile},
    model::{
        Model,
        cost::{ConvShape, convolutions},
    },
    random::{self, StreamId},
};
use serde_json::json;

use crate::{peak_flops, timing::repeated};

/// Fraction of the workload's time for each shape.
const TIME_FRACTION: f64 = 0.2;

/// Measures all convolutions of a model and prints a table or JSON.
pub fn report(model: &mut Model, batch: usize, seconds: f64, json: bool, device: &Device) -> anyhow::Result<()> {
    let mut shapes: Vec<(ConvShape, usize)> = Vec::new();
    for conv in convolutions(model) {
        match shapes.iter_mut().find(|(known, _)| *known == conv) {
            Some((_, count)) => *count += 1,
            None => shapes.push((conv, 1)),
        }
    }
    let peak = peak_flops::of_all();
    let threads = rayon::current_num_threads();
    if !json {
        println!("{}, batch {batch}, {threads} threads; peak {peak:.0} GFLOP/s", model.architecture);
        println!("columns: ms, GFLOP/s, % of the peak");
        println!("{:24} {:>5} {:>24} {:>24} {:>24}", "shape", "count", "forward", "input gradient", "weight gradient");
    }
    let (mut all, mut times) = (0.0, [0.0; 3]);
    let mut rows = Vec::new();
    for (conv, count) in shapes {
        let flop = 2e-6 * batch as f64 * conv.multiply_adds() as f64;
        let each = mean_times(&conv, batch, TIME_FRACTION * seconds, device)?;
        if !json {
            print!("{conv:24} {count:>5}");
            line(flop, each, peak);
        }
        rows.push(json!({"shape": conv.to_string(), "count": count, "ms": each, "gflops": each.map(|ms| flop / ms)}));
        all += count as f64 * flop;
        times = std::array::from_fn(|i| times[i] + count as f64 * each[i]);
    }
    if json {
        println!(
            "{}",
            json!({
                "workload": "conv", "model": model.architecture.to_string(), "batch": batch, "threads": threads,
                "peak_gflops": peak, "total_ms": times, "convolutions": rows,
            })
        );
    } else {
        print!("{:24} {:>5}", "total", "");
        line(all, times, peak);
    }
    Ok(())
}

/// Prints a line. `mflop` is in millions of operations, so that `mflop / ms` is in GFLOP/s.
fn line(mflop: f64, times: [f64; 3], peak: f64) {
    for ms in times {
        print!(" {ms:>10.3} {:>7.1} {:>3.0} %", mflop / ms, 100.0 * mflop / ms / peak);
    }
    println!();
}

/// Returns the mean milliseconds of the forward pass, the input gradient and the weight gradient.
fn mean_times(conv: &ConvShape, batch: usize, seconds: f64, device: &Device) -> anyhow::Result<[f64; 3]> {
    let mut rng = random::stream(0, StreamId::Synthetic, 0);
    let mut leaf = |shape: [usize; 4]| -> Tensor<4> {
        let values = random::normal(&mut rng, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device).autodiff().require_grad()
    };
    let x = kernel::images_to_maps(leaf([batch, conv.cin, conv.side, conv.side])).detach().require_grad();
    let weight = Weight::new(leaf([conv.cout, conv.cin, conv.k, conv.k]));
    let run = |()| {
        kernel::conv2d(x.clone(), &weight, conv.stride, None).backward();
        Ok(device.sync()?)
    };
    run(())?;
    profile::start();
    repeated(seconds, || (), run)?;
    let entries = profile::stop();
    let mean = |name: &str| -> anyhow::Result<f64> {
        let entry =
            entries.iter().find(|entry| entry.name == name).context("only the kernels of the CPU can be measured")?;
        Ok(1e3 * entry.seconds / entry.calls as f64)
    };
    Ok([mean("convolution")?, mean("input gradient")?, mean("weight gradient")?])
}
