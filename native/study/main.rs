//! Compares adversarial training, Jacobian regularization and both, on trained models: robust accuracy, the change of
//! each layer under attack, the gradients of the logits, and the accuracy of the L_SW estimate.

mod estimate;
mod figure;
mod measure;
mod write;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use measure::{Measurements, StudiedModel};
use otjr::{
    data::{Dataset, ImageSet},
    platform::{self, DeviceChoice, Opened},
};
use otjr_cli::{
    console::Console,
    dataset::{self, DownloadOptions},
    evaluation::model_file::{LoadedModel, ModelFile, stem},
    files,
    interrupt::Interrupt,
};

/// Compare the robustness, representations and Jacobians of trained models; write tables and figures.
///
/// The measurements of each model are stored in --out. After an interruption, the same command continues.
#[derive(Parser)]
#[command(name = "study", version)]
struct Arguments {
    /// Models, in the order of the tables
    #[arg(required = true, value_name = "MODEL.safetensors")]
    models: Vec<String>,
    /// Data set that they were trained on
    #[arg(long, default_value = "cifar10", value_parser = parse_dataset)]
    dataset: Dataset,
    /// Path of the data set: a directory or an archive [default: CIFAR is downloaded]
    #[arg(long, default_value = "", hide_default_value = true)]
    data_dir: String,
    /// Number of test images
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(2..))]
    limit: u16,
    #[arg(long, default_value = "auto", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
    /// Output directory
    #[arg(long, value_name = "DIR", default_value = "runs/study")]
    out: PathBuf,
}

fn parse_dataset(text: &str) -> Result<Dataset, String> {
    text.parse()
}

fn main() -> ExitCode {
    otjr_cli::main(|| run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let stopped = || {
        println!("Stopped. To continue, run the same command.");
        Ok(interrupt.exit_code())
    };
    let files = arguments.models.iter().map(ModelFile::read).collect::<anyhow::Result<Vec<_>>>()?;
    let download = DownloadOptions { url: None, console: Console::default(), interrupt: &interrupt };
    let limits = [1, usize::from(arguments.limit)];
    let Some(data) = dataset::load(arguments.dataset, &arguments.data_dir, limits, &download)? else {
        return stopped();
    };
    let images = data.test;
    let opened = pollster::block_on(platform::open(arguments.device))?;
    let models = load_models(&files, &images, &opened)?;
    files::create_dir(&arguments.out)?;
    println!("{} models, {} images of {}, {}", models.len(), images.len(), arguments.dataset, opened.name);

    let checksum = images.checksum();
    let mut all = Vec::new();
    for model in &models {
        let file = arguments.out.join(format!("{}.json", model.name));
        if let Some(measurements) = read_measurements(&file).filter(|m| m.is_current(model.checksum, checksum)) {
            all.push(measurements);
            continue;
        }
        let Some(measurements) = measure_model(model, &images, &opened, &interrupt)? else { return stopped() };
        files::write(&file, &serde_json::to_vec_pretty(&measurements)?)?;
        println!("{}: clean {:.1} %, stored in {}", model.name, 100.0 * measurements.clean, file.display());
        all.push(measurements);
    }
    write::all(&all, &arguments.out)?;
    Ok(ExitCode::SUCCESS)
}

/// Loads all models before the first one is measured.
fn load_models(files: &[ModelFile], images: &ImageSet, opened: &Opened) -> anyhow::Result<Vec<StudiedModel>> {
    let mut models: Vec<StudiedModel> = Vec::new();
    for file in files {
        let LoadedModel { model, checksum, config } = file.load(images, opened)?;
        let name = stem(&file.path);
        if models.iter().any(|other| other.name == name) {
            bail!("two models have the name {name}: rename one of the files");
        }
        models.push(StudiedModel { name, model, config, checksum });
    }
    Ok(models)
}

/// Returns stored measurements, or `None` if the file does not exist or is not valid.
fn read_measurements(file: &Path) -> Option<Measurements> {
    serde_json::from_slice(&files::read(file).ok()?).ok()
}

/// Measures a model with a progress bar. Returns `None` if interrupted.
fn measure_model(
    model: &StudiedModel,
    images: &ImageSet,
    opened: &Opened,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Measurements>> {
    let bar = ProgressBar::new(measure::PARTS)
        .with_prefix(model.name.clone())
        .with_style(ProgressStyle::with_template("{prefix:>16} {bar:24} {pos}/{len}, {eta} left  {msg}")?);
    bar.tick();
    let progress = |part: &str| {
        bar.set_message(part.to_owned());
        bar.inc(1);
        interrupt.flow()
    };
    let measured = pollster::block_on(measure::all(model, images, &opened.device, progress));
    let measurements = measured.with_context(|| model.name.clone())?;
    if measurements.is_some() {
        bar.finish();
    }
    Ok(measurements)
}
