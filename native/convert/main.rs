//! Converts checkpoints from and to PyTorch.

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

/// Convert models: PyTorch's .pt and .pth (state dicts of WideResNets and ResNet-18s with the tensor names of TRADES,
/// RobustBench and others) and .safetensors, to .safetensors for the programs or to a state dict for PyTorch (.pt,
/// .pth).
///
/// No code in a file is executed. A file that tries to execute code is rejected.
#[derive(Parser)]
#[command(name = "convert", version)]
struct Arguments {
    /// .pt, .pth or .safetensors
    input: PathBuf,
    /// .safetensors for the programs and the page, .pt or .pth for torch.load
    output: PathBuf,
    /// Key of the state dict in a file with several networks, such as ema or model.best
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Mean of each channel, subtracted before the network, if only the model's code contains this normalization
    #[arg(long, value_name = "R,G,B", requires = "std", value_parser = channels)]
    mean: Option<[f32; 3]>,
    /// Standard deviation of each channel, by which it is then divided
    #[arg(long, value_name = "R,G,B", requires = "mean", value_parser = channels)]
    std: Option<[f32; 3]>,
    /// Class names, in order
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    classes: Option<Vec<String>>,
    /// Store weights as float16 (normalization parameters and biases stay float32)
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

/// Format of the output file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Safetensors,
    PyTorch,
}

impl Format {
    /// Determines the format from the file name.
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("pt" | "pth") => Ok(Self::PyTorch),
            _ => bail!("{}: the name of the output file must end in .safetensors, .pt or .pth", path.display()),
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { input, output, half, .. } = arguments;
    let format = Format::of(output)?;
    let bytes = files::read(input)?;
    let mut found = input::read(&bytes, arguments.key.as_deref()).with_context(|| input.display().to_string())?;
    if let (Some(mean), Some(std)) = (&arguments.mean, &arguments.std) {
        if found.mapping.normalized {
            bail!("{} already contains a normalization: leave out --mean and --std", input.display());
        }
        for (name, values) in [(Model::MEAN, mean), (Model::STD, std)] {
            found.arrays.insert(name.to_owned(), Array { shape: vec![3], values: values.to_vec() });
        }
    }
    if found.arrays.get(Model::STD).is_some_and(|std| std.values.contains(&0.0)) {
        bail!("the standard deviation of a channel is 0: the file is damaged, or --std is wrong");
    }
    // Building the model checks the shapes of all tensors, and that they contain no NaN.
    let opened = pollster::block_on(platform::open(DeviceChoice::Cpu))?;
    let mut model = Model::from_arrays(&found.arrays, &opened.device).with_context(|| input.display().to_string())?;
    let mut file = Checkpoint { metadata: found.metadata.clone(), ..Checkpoint::default() };
    file.metadata.insert("architecture".to_owned(), model.architecture.to_string());
    if let Some(classes) = &arguments.classes {
        if classes.len() != model.classes {
            bail!("--classes names {} classes, but the model has {}", classes.len(), model.classes);
        }
        file.metadata.insert("classes".to_owned(), serde_json::json!(classes).to_string());
    }
    let result = match format {
        Format::PyTorch => pytorch::write(&found.arrays, &file.metadata, *half)?,
        Format::Safetensors => {
            file.insert_with_prefix(MODEL_PREFIX, found.arrays.clone());
            if *half { file.to_f16_bytes()? } else { file.to_bytes() }
        }
    };
    files::write(output, &result)?;
    report::print(arguments, &found, &mut model, result.len());
    Ok(())
}
