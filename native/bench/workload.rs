//! What is measured.

use std::{fs, ops::ControlFlow};

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

use crate::{
    Arguments,
    inputs::{self, CLASSES, SEED},
};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Logits, in inference mode
    Infer,
    /// The gradient of the cross-entropy in the pixels, in inference mode
    InputGradient,
    /// Training's attack of 10 steps
    #[value(name = "pgd-10")]
    Pgd10,
    /// A training step on the cross-entropy; its record is read back within the time, in all steps
    StepCe,
    /// A training step on adversarial images (10 attack steps)
    StepPgd,
    /// A training step of OTJR (10 attack steps)
    StepOtjr,
    /// AutoAttack, standard, L-inf 8/255, once, without warming up
    Autoattack,
    /// Each shape of convolution that the model has
    Conv,
    /// The machine's multiply-adds on registers
    Peak,
}

impl Workload {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// None where it depends on how the work goes.
    fn passes(self) -> Option<Passes> {
        match self {
            Self::Infer => Some(Passes { forward: 1, ..Passes::default() }),
            Self::InputGradient => Some(Passes { forward: 1, pixels: 1, ..Passes::default() }),
            Self::Pgd10 => Some(Passes { forward: 10, pixels: 10, ..Passes::default() }),
            Self::StepCe | Self::StepPgd | Self::StepOtjr => Some(passes_per_step(&self.config())),
            Self::Autoattack | Self::Conv | Self::Peak => None,
        }
    }

    /// Of a training step. At rate 0 all is computed but nothing changes: each repetition is the same work, and none
    /// diverges.
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
    /// Images at once, and in a repetition.
    pub batch: usize,
    pub images: usize,
    pub parameters: usize,
    /// Does it once; returns how many multiply-adds the network took.
    pub repeat: Box<dyn FnMut() -> anyhow::Result<u64>>,
}

/// The model of --weights, or a fresh one.
pub fn model(arguments: &Arguments, device: &Device) -> anyhow::Result<Model> {
    let model = match &arguments.weights {
        None => Model::new(arguments.model, CLASSES, None, SEED, device)?,
        Some(path) => {
            let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
            let load = || -> anyhow::Result<_> {
                Ok(Model::from_arrays(&Checkpoint::from_bytes(&bytes)?.model_arrays(), device)?)
            };
            load().with_context(|| path.display().to_string())?
        }
    };
    Ok(if arguments.mixed { model.with_f16_convs() } else { model })
}

/// Images of a batch: fewer for a wide network, of which an OTJR step holds gigabytes.
pub fn batch(arguments: &Arguments, architecture: Architecture) -> usize {
    arguments.batch.unwrap_or(match architecture.largest_activation() / (32 * 32) {
        ..64 => 64,
        64..160 => 16,
        _ => 4,
    })
}

/// Makes everything ready.
pub fn prepare(workload: Workload, arguments: &Arguments, device: &Device) -> anyhow::Result<Work> {
    let mut model = model(arguments, device)?;
    let (name, parameters) = (model.architecture.to_string(), model.parameters());
    if workload == Workload::Autoattack {
        let images = arguments.images;
        let batch = arguments.batch.unwrap_or(256).min(images);
        if arguments.weights.is_none() {
            bail!(
                "autoattack needs --weights (public/models/otjr.safetensors): an untrained model falls at the first step"
            );
        }
        let repeat = autoattack(images, batch, model, device.clone())?;
        return Ok(Work { model: name, batch, images, parameters, repeat });
    }
    let images = batch(arguments, model.architecture);
    let passes = workload.passes().context("it is no work to repeat")?;
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

/// On the embedded set: noise has no right answers to begin from.
fn autoattack(
    images: usize,
    batch: usize,
    mut model: Model,
    device: Device,
) -> anyhow::Result<Box<dyn FnMut() -> anyhow::Result<u64>>> {
    let images = synthetic::default_splits([1, images]).test;
    if model.classes != images.classes.len() {
        bail!("the model tells {} classes apart, the embedded set has {}", model.classes, images.classes.len());
    }
    let attacks = build_attacks(&AttackConfig::of(AttackKind::Autoattack, Norm::Linf), model.classes)?;
    Ok(Box::new(move || {
        let evaluation = evaluation(&images, &attacks, batch);
        let mut state = pollster::block_on(evaluation.begin(&model, &device))?;
        pollster::block_on(evaluation.run(&model, &model, &device, &mut state, &mut Blind))?;
        let mut multiply_adds = 0;
        for record in &state.records {
            let [forward, pixels] = record.queries;
            multiply_adds += Passes { forward, pixels, ..Passes::default() }.multiply_adds(&mut model);
            eprintln!("{}: {} of {} stand, {:.1} s", record.name, record.after, record.before, record.seconds);
        }
        Ok(multiply_adds)
    }))
}

fn evaluation<'a>(images: &'a ImageSet, attacks: &'a [NamedAttack], batch: usize) -> Evaluation<'a> {
    Evaluation { images, attacks, target: None, seed: SEED, batch, flags: Vec::new(), may_be_random: false }
}

/// Watches nothing.
struct Blind;

impl EvaluationObserver for Blind {
    async fn on_progress(&mut self, _: EvaluationProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
