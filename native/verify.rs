//! Checks this build's mathematics against fixtures of the PyTorch oracle.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use otjr::{
    platform::{self, DeviceChoice, Precision},
    verify::{GroupCheck, TOLERANCE, verify},
};

/// Recomputes everything that a fixture holds (logits, gradients, nine losses, ...) and prints how far off we are.
///
/// The error of a tensor is its largest deviation divided by the reference's largest magnitude; exit code 1 above 1e-3.
/// The CPU computes in float64 unless told otherwise, as the reference does: in float32 a ReLU whose input lies within
/// rounding of 0 may fall on its other side, and then gradients differ by per cents, in PyTorch as well.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Fixtures written by the oracle
    #[arg(required = true, value_name = "FIXTURE.safetensors")]
    fixtures: Vec<PathBuf>,
    #[arg(long, default_value = "cpu", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// f32 or f64 [default: f64 on the CPU, f32 on a GPU]
    #[arg(long, value_name = "PRECISION")]
    float: Option<Precision>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all fixtures pass.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut opened = pollster::block_on(platform::open(arguments.device))?;
    let default = if arguments.device == DeviceChoice::Cpu { Precision::F64 } else { Precision::F32 };
    let precision = arguments.float.unwrap_or(default);
    opened.set_precision(precision)?;
    let mut results = Vec::new();
    for path in &arguments.fixtures {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).with_context(|| format!("could not read {name}"))?;
        let checks = pollster::block_on(verify(&bytes, &opened.device)).with_context(|| name.clone())?;
        if !arguments.json {
            print(&name, &format!("{}, {precision}", opened.name), &checks);
        }
        results.push((name, checks));
    }
    if arguments.json {
        let files: Vec<_> =
            results.iter().map(|(name, checks)| serde_json::json!({"file": name, "checks": checks})).collect();
        println!("{}", serde_json::json!({"device": opened.name, "float": precision.to_string(), "fixtures": files}));
    }
    Ok(results.iter().flat_map(|(_, checks)| checks).all(GroupCheck::passed))
}

fn print(name: &str, device: &str, checks: &[GroupCheck]) {
    println!("{name} on {device}\n{:14} {:>7} {:>10}  worst tensor", "group", "tensors", "error");
    for check in checks {
        let verdict = if check.passed() { "" } else { "  FAILED" };
        println!("{:14} {:>7} {:>10.1e}  {}{verdict}", check.group, check.tensors, check.error, check.worst);
    }
    let failed = checks.iter().filter(|check| !check.passed()).count();
    println!("{} of {} groups within {TOLERANCE:.0e}\n", checks.len() - failed, checks.len());
}
