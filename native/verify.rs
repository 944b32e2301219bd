//! Compares the results of this build with fixtures that PyTorch computed.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use otjr::{
    platform::{self, DeviceChoice, Precision},
    verify::{GroupCheck, TOLERANCE, verify},
};
use otjr_cli::files;

/// Recompute everything in a fixture (logits, gradients, nine losses, ...) and print the errors.
///
/// The error of a tensor is its largest absolute deviation divided by the largest absolute value of the reference. The
/// exit code is 1 if an error is above 1e-3. The CPU computes in float64 by default, like the reference. In float32, a
/// ReLU whose input is within rounding of 0 may switch, and gradients then differ by a few percent, in PyTorch as well.
#[derive(Parser)]
#[command(name = "verify", version)]
struct Arguments {
    /// Fixtures that PyTorch computed
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

/// Results of one fixture.
struct FixtureResult {
    name: String,
    checks: Vec<GroupCheck>,
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

/// Returns whether all fixtures pass.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut opened = pollster::block_on(platform::open(arguments.device))?;
    let default = if arguments.device == DeviceChoice::Cpu { Precision::F64 } else { Precision::F32 };
    let precision = arguments.float.unwrap_or(default);
    opened.set_precision(precision)?;
    let mut results = Vec::new();
    for path in &arguments.fixtures {
        let name = path.display().to_string();
        let bytes = files::read(path)?;
        let checks = pollster::block_on(verify(&bytes, &opened.device)).with_context(|| name.clone())?;
        let result = FixtureResult { name, checks };
        if !arguments.json {
            print(&result, &format!("{}, {precision}", opened.name));
        }
        results.push(result);
    }
    if arguments.json {
        let fixtures: Vec<_> =
            results.iter().map(|result| serde_json::json!({"file": result.name, "checks": result.checks})).collect();
        println!(
            "{}",
            serde_json::json!({"device": opened.name, "float": precision.to_string(), "fixtures": fixtures})
        );
    }
    Ok(results.iter().flat_map(|result| &result.checks).all(GroupCheck::passed))
}

fn print(FixtureResult { name, checks }: &FixtureResult, device: &str) {
    println!("{name} on {device}\n{:14} {:>7} {:>10}  worst tensor", "group", "tensors", "error");
    for check in checks {
        let verdict = if check.passed() { "" } else { "  FAILED" };
        println!("{:14} {:>7} {:>10.1e}  {}{verdict}", check.group, check.tensors, check.error, check.worst);
    }
    let failed = checks.iter().filter(|check| !check.passed()).count();
    println!("{} of {} groups within {TOLERANCE:.0e}\n", checks.len() - failed, checks.len());
}
