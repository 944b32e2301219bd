//! The comparison that the paper is about: adversarial training, Jacobian regularization and both, on trained models. What
//! each withstands, how far attacks move it in each layer, how it reacts to pixels, and how well L_SW is estimated.

mod estimate;
mod figure;
mod measure;
mod write;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use measure::{Findings, Subject};
use otjr::{
    data::Dataset,
    platform::{self, DeviceChoice},
};
use otjr_cli::{
    console::Console,
    dataset::{self, Fetching},
    evaluation::model_file::{File, stem},
    files,
    interrupt::Interrupt,
};

/// Compares trained models in robustness, in representation and in their Jacobians; writes tables and figures.
///
/// What is measured of each model is kept in --out; the same command goes on after an interruption.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The models, in the order in which they are to be shown
    #[arg(required = true, value_name = "MODEL.safetensors")]
    models: Vec<String>,
    /// The data set that they were trained on
    #[arg(long, default_value = "cifar10", value_parser = parse_dataset)]
    dataset: Dataset,
    /// Where it is: a directory or an archive; CIFAR is fetched if this is not given
    #[arg(long, default_value = "")]
    data_dir: String,
    /// Test images to measure on
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(2..))]
    limit: u16,
    #[arg(long, default_value = "auto", help = DeviceChoice::NAMES)]
    device: DeviceChoice,
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
    let files = arguments.models.iter().map(File::read).collect::<anyhow::Result<Vec<_>>>()?;
    let fetching = Fetching { url: None, console: Console::default(), interrupt: &interrupt };
    let limits = [1, usize::from(arguments.limit)];
    let Some(data) = dataset::load(arguments.dataset, &arguments.data_dir, limits, &fetching)? else {
        println!("Stopped. The same command goes on.");
        return Ok(interrupt.exit_code());
    };
    let images = data.test;
    let opened = pollster::block_on(platform::open(arguments.device))?;
    // All are loaded before the first is measured.
    let load = |file: &File| {
        let (model, checksum, config) = file.load(&images, &opened)?;
        Ok(Subject { name: stem(&file.path), model, config, checksum })
    };
    let subjects = files.iter().map(load).collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(name) =
        subjects.iter().map(|s| &s.name).find(|name| subjects.iter().filter(|s| s.name == **name).count() > 1)
    {
        bail!("two of the models are called {name}: give their files different names");
    }
    fs::create_dir_all(&arguments.out).with_context(|| format!("could not create {}", arguments.out.display()))?;
    println!("{} models, {} images of {}, {}", subjects.len(), images.len(), arguments.dataset, opened.name);

    let (mut all, checksum) = (Vec::new(), images.checksum());
    for subject in &subjects {
        let kept = arguments.out.join(format!("{}.json", subject.name));
        let known = fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice::<Findings>(&bytes).ok());
        if let Some(findings) = known.filter(|f| f.holds(subject.checksum, checksum)) {
            all.push(findings);
            continue;
        }
        let bar = ProgressBar::new(measure::PARTS)
            .with_prefix(subject.name.clone())
            .with_style(ProgressStyle::with_template("{prefix:>16} {bar:24} {pos}/{len}, {eta} left  {msg}")?);
        bar.tick();
        let progress = |part: &str| {
            bar.set_message(part.to_owned());
            bar.inc(1);
            interrupt.flow()
        };
        let measured = pollster::block_on(measure::all(subject, &images, &opened.device, progress));
        let Some(findings) = measured.with_context(|| subject.name.clone())? else {
            println!("Stopped. The same command goes on.");
            return Ok(interrupt.exit_code());
        };
        bar.finish();
        files::write(&kept, &serde_json::to_vec_pretty(&findings)?)?;
        println!("{}: clean {:.1} %, kept in {}", subject.name, 100.0 * findings.clean, kept.display());
        all.push(findings);
    }
    write::all(&all, &arguments.out)?;
    Ok(ExitCode::SUCCESS)
}
