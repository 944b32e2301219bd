//! The workloads.

use std::ops::ControlFlow;

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::ValueEnum;
use otjr::{
    attack::{
        AttackConfig, AttackKind, Norm,
        any::{NamedAttack, build_attacks},
        inner,
    },
    batch::Batch,
    checkpoint::Checkpoint,
    data::{ImageSet, synthetic},
    evaluate::{Evaluation, EvaluationObserver, EvaluationProgress},
    loss::{Objective, ObjectiveConfig},
    model::{Architecture, Classifier, Model, cost::Passes},
    random::{self, StreamId},
    train::{TrainConfig, Trainer, cost::passes_per_step},
};

use otjr_cli::files;

use crate::{
    Arguments,
    inputs::{self, CLASSES, SEED},
};

/// A workload; the comments are the help texts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Logits, in inference mode
    Infer,
    /// Gradient of the cross-entropy with respect to the pixels, in inference mode
    InputGradient,
    /// The 10-step attack of adversarial training
    #[value(name = "pgd-10")]
    Pgd10,
    /// A training step on the cross-entropy, including the read-back of its record, like all training steps
    StepCe,
    /// A training step on adversarial images (10 attack steps)
    StepPgd,
    /// A training step of OTJR (10 attack steps)
    StepOtjr,
    /// Standard AutoAttack, L-inf 8/255, once, without warm-up
    Autoattack,
    /// Each convolution shape of the model
    Conv,
    /// Peak speed: multiply-adds on registers
    Peak,
}

impl Workload {
    /// Returns the name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns the passes through the network, or `None` if their number depends on the data.
    fn passes(self) -> Option<Passes> {
        match self {
            Self::Infer => Some(Passes { forward: 1, ..Passes::default() }),
            Self::InputGradient => Some(Passes { forward: 1, pixels: 1, ..Passes::default() }),
            Self::Pgd10 => Some(Passes { forward: 10, pixels: 10, ..Passes::default() }),
            Self::StepCe | Self::StepPgd | Self::StepOtjr => Some(passes_per_step(&self.config())),
            Self::Autoattack | Self::Conv | Self::Peak => None,
        }
    }

    /// Returns the settings of a training step. With learning rate 0 the weights do not change, so that each repetition
    /// is the same work and none diverges.
    fn config(self) -> TrainConfig {
        let objective = match self {
            Self::StepPgd => Objective::Pgd,
            Self::StepOtjr => Objective::Otjr,
            _ => Objective::Ce,
        };
        TrainConfig { objective, rate: 0.0, augment: false, ..TrainConfig::default() }
    }
}

/// Work that can be repeated.
pub struct Work {
    pub model: String,
    /// Batch size.
    pub batch: usize,
    /// Images in a repetition.
    pub images: usize,
    pub parameters: usize,
    /// Runs the work once and returns the number of multiply-adds.
    pub repeat: Box<dyn FnMut() -> anyhow::Result<u64>>,
}

/// Returns the model of --weights, or one with random weights.
pub fn model(arguments: &Arguments, device: &Device) -> anyhow::Result<Model> {
    let model = match &arguments.weights {
        None => Model::new(arguments.model, CLASSES, None, SEED, device)?,
        Some(path) => {
            let bytes = files::read(path)?;
            let load = || -> anyhow::Result<_> {
                Ok(Model::from_arrays(&Checkpoint::from_bytes(&bytes)?.model_arrays(), device)?)
            };
            load().with_context(|| path.display().to_string())?
        }
    };
    Ok(if arguments.mixed { model.with_f16_convs() } else { model })
}

/// Returns the batch size. It is smaller for wide networks, because a step of OTJR takes gigabytes of memory.
pub fn batch(arguments: &Arguments, architecture: Architecture) -> usize {
    arguments.batch.unwrap_or(match architecture.largest_activation() / (32 * 32) {
        ..64 => 64,
        64..160 => 16,
        _ => 4,
    })
}

/// Prepares a workload that can be repeated.
pub fn prepare(workload: Workload, arguments: &Arguments, device: &Device) -> anyhow::Result<Work> {
    let mut model = model(arguments, device)?;
    let (name, parameters) = (model.architecture.to_string(), model.parameters());
    if workload == Workload::Autoattack {
        let images = arguments.images;
        let batch = arguments.batch.unwrap_or(256).min(images);
        if arguments.weights.is_none() {
            bail!(
                "autoattack needs --weights (such as public/models/otjr.safetensors): an untrained model is fooled by the first step"
            );
        }
        let repeat = autoattack(images, batch, model, device.clone())?;
        return Ok(Work { model: name, batch, images, parameters, repeat });
    }
    let images = batch(arguments, model.architecture);
    let passes = workload.passes().context("the workload cannot be repeated")?;
    let multiply_adds = images as u64 * passes.multiply_adds(&mut model);
    let data = inputs::noise(images, model.classes);
    let Batch { x, y } = Batch::new(&data, &(0..images).collect::<Vec<_>>(), device);
    let mut once: Box<dyn FnMut() -> anyhow::Result<()>> = match workload {
        Workload::Infer => Box::new(move || {
            model.logits(x.clone());
            Ok(())
        }),
        Workload::InputGradient => Box::new(move || {
            inputs::input_gradient(&model, &x, &y);
            Ok(())
        }),
        Workload::Pgd10 => Box::new(move || {
            let mut rng = random::stream(SEED, StreamId::Attack, 0);
            let config = ObjectiveConfig::default();
            let noise = inner::noise(x.dims(), &config, &mut rng, &x.device());
            inner::perturb(&model, &x, &y, Objective::Pgd, &config, noise);
            Ok(())
        }),
        _ => {
            let config = TrainConfig { batch: images, ..workload.config() };
            let mut trainer = Trainer::with_model(&config, model, &data, device)?;
            Box::new(move || {
                trainer.step(&data);
                pollster::block_on(trainer.records(&data))?;
                Ok(())
            })
        }
    };
    let device = device.clone();
    let repeat = Box::new(move || {
        once()?;
        device.sync()?;
        Ok(multiply_adds)
    });
    Ok(Work { model: name, batch: images, images, parameters, repeat })
}

/// Prepares AutoAttack on generated shapes, because a model does not classify noise correctly.
fn autoattack(
    images: usize,
    batch: usize,
    mut model: Model,
    device: Device,
) -> anyhow::Result<Box<dyn FnMut() -> anyhow::Result<u64>>> {
    let images = synthetic::default_splits([1, images]).test;
    if model.classes != images.classes.len() {
        bail!("the model has {} classes, the generated shapes have {}", model.classes, images.classes.len());
    }
    let attacks = build_attacks(&AttackConfig::of(AttackKind::Autoattack, Norm::Linf), model.classes)?;
    Ok(Box::new(move || {
        let evaluation = evaluation(&images, &attacks, batch);
        let mut state = pollster::block_on(evaluation.begin(&model, &device))?;
        pollster::block_on(evaluation.run(&model, &model, &device, &mut state, &mut NoopObserver))?;
        let mut multiply_adds = 0;
        for record in &state.records {
            let [forward, pixels] = record.queries;
            multiply_adds += Passes { forward, pixels, ..Passes::default() }.multiply_adds(&mut model);
            eprintln!("{}: {} of {} robust, {:.1} s", record.name, record.after, record.before, record.seconds);
        }
        Ok(multiply_adds)
    }))
}

fn evaluation<'a>(images: &'a ImageSet, attacks: &'a [NamedAttack], batch: usize) -> Evaluation<'a> {
    Evaluation { images, attacks, target: None, seed: SEED, batch, flags: Vec::new(), may_be_random: false }
}

/// Ignores progress.
struct NoopObserver;

impl EvaluationObserver for NoopObserver {
    async fn on_progress(&mut self, _: EvaluationProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
