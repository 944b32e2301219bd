//! Models in and out: PyTorch's checkpoints to ours, and back.

mod input;
mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Parser;
use otjr::{
    checkpoint::{Checkpoint, MODEL_PREFIX},
    model::{Model, parameter::Array},
    platform::{self, DeviceChoice},
    pytorch,
};
use otjr_cli::files;

/// Converts models: PyTorch's .pt and .pth (state dicts of WideResNets and ResNet-18s as TRADES, RobustBench and others
/// name them), foreign .safetensors and ours, to ours (.safetensors) or to a state dict for PyTorch (.pt, .pth).
///
/// Nothing that a file says is run: one that wants to run something is refused.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// .pt, .pth or .safetensors
    input: PathBuf,
    /// .safetensors for our programs and the page, .pt or .pth for torch.load
    output: PathBuf,
    /// The dict to take of a file with several networks, such as ema, or model.best
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What is subtracted from each channel ahead of the network, where code does that and the file does not say it
    #[arg(long, value_name = "R,G,B", requires = "std", value_parser = channels)]
    mean: Option<[f32; 3]>,
    /// What each channel is divided by then
    #[arg(long, value_name = "R,G,B", requires = "mean", value_parser = channels)]
    std: Option<[f32; 3]>,
    /// The classes' names, in order
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    classes: Option<Vec<String>>,
    /// Keep weights as float16 (norms and biases stay float32)
    #[arg(long)]
    half: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn channels(text: &str) -> Result<[f32; 3], String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| "expected three numbers, such as 0.4914,0.4822,0.4465".to_owned())
}

fn main() -> ExitCode {
    otjr_cli::main(|| run(&Arguments::parse()).map(|()| ExitCode::SUCCESS))
}

/// What a file's name says that it is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Safetensors,
    PyTorch,
}

impl Kind {
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("pt" | "pth") => Ok(Self::PyTorch),
            _ => bail!("{}: write to a name that ends in .safetensors, .pt or .pth", path.display()),
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { input, output, half, .. } = arguments;
    let kind = Kind::of(output)?;
    let bytes = std::fs::read(input).with_context(|| format!("could not read {}", input.display()))?;
    let mut found = input::read(&bytes, arguments.key.as_deref()).with_context(|| input.display().to_string())?;
    if let (Some(mean), Some(std)) = (&arguments.mean, &arguments.std) {
        if found.mapping.normalized {
            bail!("{} has a normalization of its own: leave out --mean and --std", input.display());
        }
        for (name, values) in [(Model::MEAN, mean), (Model::STD, std)] {
            found.arrays.insert(name.to_owned(), Array { shape: vec![3], values: values.to_vec() });
        }
    }
    if found.arrays.get(Model::STD).is_some_and(|std| std.values.contains(&0.0)) {
        bail!("a channel is to be divided by 0: the file is damaged, or --std wrong");
    }
    // A model that can be built has every tensor in its shape, and numbers in all of them.
    let opened = pollster::block_on(platform::open(DeviceChoice::Cpu))?;
    let mut model = Model::from_arrays(&found.arrays, &opened.device).with_context(|| input.display().to_string())?;
    let mut file = Checkpoint { metadata: found.metadata.clone(), ..Checkpoint::default() };
    file.metadata.insert("architecture".to_owned(), model.architecture.to_string());
    if let Some(classes) = &arguments.classes {
        if classes.len() != model.classes {
            bail!("--classes names {}, and the model tells {} apart", classes.len(), model.classes);
        }
        file.metadata.insert("classes".to_owned(), serde_json::json!(classes).to_string());
    }
    let result = match kind {
        Kind::PyTorch => pytorch::write(&found.arrays, &file.metadata, *half)?,
        Kind::Safetensors => {
            file.insert_with_prefix(MODEL_PREFIX, found.arrays.clone());
            if *half { file.to_f16_bytes()? } else { file.to_bytes() }
        }
    };
    files::write(output, &result)?;
    report::print(arguments, &found, &mut model, result.len());
    Ok(())
}
