//! Verification against PyTorch: recomputes the values in a fixture file and measures the errors.
//!
//! A fixture holds a WideResNet, images with their adversarial images, and what the reference computes from them in
//! float64: logits and latents in both modes of batch normalization, the sliced Wasserstein distance and its
//! directions, the Jacobian penalties, nine losses with the gradient of every parameter, and the running statistics
//! after one step. The native program and the page run the same function, on any backend.

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    attack::inner::input_gradient,
    batch::{Batch, one_hot},
    checkpoint::{self, Checkpoint},
    loss::{
        Objective, ObjectiveConfig,
        cross_entropy::cross_entropy,
        jacobian,
        objective::{self, Directions},
        sliced_wasserstein::sliced_wasserstein,
    },
    model::{Model, Output, Pass, dual::Dual, parameter::Array},
};

/// Largest relative error that passes. The error of float32 is expected to be below a tenth of it.
pub const TOLERANCE: f64 = 1e-3;

/// The largest error of one group of tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupCheck {
    /// `eval`, `train`, `sw`, `jac`, `after`, `ce.loss`, `ce.grad`, ...
    pub group: String,
    /// The tensor with the largest error.
    pub worst: String,
    /// max |computed - reference| / max |reference| of that tensor.
    pub error: f64,
    /// Number of tensors in the group.
    pub tensors: usize,
}

impl GroupCheck {
    /// Returns whether the error is at most [`TOLERANCE`].
    pub fn passed(&self) -> bool {
        self.error <= TOLERANCE
    }
}

/// Why a fixture could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a valid checkpoint or model.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// The file lacks a value of a fixture.
    #[error("not a fixture of the oracle: {0}")]
    NotAFixture(String),
    /// The device failed.
    #[error("the device failed: {0:?}")]
    Device(ExecutionError),
}

/// The computed tensors, with their names in the fixture.
#[derive(Default)]
struct ComputedTensors {
    names: Vec<String>,
    tensors: Vec<Tensor<1>>,
}

impl ComputedTensors {
    fn push<const D: usize>(&mut self, name: impl Into<String>, tensor: Tensor<D>) {
        self.names.push(name.into());
        self.tensors.push(tensor.inner().reshape([-1]));
    }
}

/// Checks a fixture file on a device. Returns one [`GroupCheck`] per group, in a fixed order.
///
/// # Errors
/// If the file is not a valid fixture, or the device fails.
pub async fn verify(bytes: &[u8], device: &Device) -> Result<Vec<GroupCheck>, Error> {
    let fixture = Checkpoint::from_bytes(bytes)?;
    let computed = compute(&fixture, device)?;
    // Reading in chunks limits the staging memory on a GPU.
    let mut checks: Vec<GroupCheck> = Vec::new();
    for (names, tensors) in computed.names.chunks(64).zip(computed.tensors.chunks(64)) {
        let read = tensors.iter().cloned().fold(Transaction::default(), |t, tensor| t.register(tensor));
        let data = read.execute_async().await.map_err(Error::Device)?;
        for (name, data) in names.iter().zip(data) {
            let reference = fixture.arrays.get(name).ok_or_else(|| Error::NotAFixture(format!("it lacks '{name}'")))?;
            let error = relative_error(&data.iter::<f32>().collect::<Vec<_>>(), &reference.values);
            let group = group_of(name);
            match checks.iter_mut().find(|check| check.group == group) {
                Some(check) => {
                    check.tensors += 1;
                    if error > check.error || error.is_nan() {
                        (check.error, check.worst) = (error, name.clone());
                    }
                }
                None => checks.push(GroupCheck { group, worst: name.clone(), error, tensors: 1 }),
            }
        }
    }
    Ok(checks)
}

/// Returns the group of a tensor, such as `otjr.grad` for `otjr.grad.fc.bias`, or `eval` for `eval.logits`.
fn group_of(name: &str) -> String {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(kind @ ("loss" | "grad")) => format!("{first}.{kind}"),
        _ => first.to_owned(),
    }
}

fn relative_error(computed: &[f32], reference: &[f32]) -> f64 {
    if computed.len() != reference.len() {
        return f64::INFINITY;
    }
    let largest = reference.iter().fold(0f64, |m, &v| m.max(v.abs() as f64)).max(f32::MIN_POSITIVE as f64);
    let errors = computed.iter().zip(reference).map(|(&a, &b)| (a as f64 - b as f64).abs() / largest);
    // `f64::max` would ignore NaN.
    errors.fold(0.0, |worst, e| if e > worst || e.is_nan() { e } else { worst })
}

/// The inputs of the computation.
struct Inputs {
    config: ObjectiveConfig,
    model: Model,
    batch: Batch,
    x_adv: Tensor<4>,
    directions: Directions,
}

impl Inputs {
    fn read(fixture: &Checkpoint, device: &Device) -> Result<Self, Error> {
        let array = |name: &str| -> Result<&Array, Error> {
            fixture.arrays.get(name).ok_or_else(|| Error::NotAFixture(format!("it lacks '{name}'")))
        };
        let number = |key: &str| -> Result<f32, Error> {
            let number = fixture.metadata.get(key).and_then(|text| text.parse().ok());
            number.ok_or_else(|| Error::NotAFixture(format!("its metadata lacks the number '{key}'")))
        };
        let config = ObjectiveConfig {
            lambda_sw: number("lambda_sw")?,
            lambda_jac: number("lambda_jac")?,
            beta_trades: number("beta_trades")?,
            beta_alp: number("beta_alp")?,
            ..ObjectiveConfig::default()
        };
        let model = Model::from_arrays(&fixture.model_arrays(), device).map_err(checkpoint::Error::Model)?;
        let labels: Vec<usize> = array("input.y")?.values.iter().map(|&v| v as usize).collect();
        if labels.iter().any(|&label| label >= model.classes) {
            return Err(Error::NotAFixture("a label is not below the number of classes".into()));
        }
        let batch = Batch { x: tensor(array("input.x")?, device)?, y: one_hot(&labels, model.classes, device) };
        let x_adv = tensor(array("input.x_adv")?, device)?;
        let directions =
            Directions { theta: tensor(array("input.theta")?, device)?, v: tensor(array("input.v")?, device)? };
        Ok(Self { config, model, batch, x_adv, directions })
    }
}

fn compute(fixture: &Checkpoint, device: &Device) -> Result<ComputedTensors, Error> {
    let mut inputs = Inputs::read(fixture, device)?;
    let mut computed = ComputedTensors::default();
    computed.push_outputs_and_penalties(&inputs);
    computed.push_objectives(&mut inputs);
    Ok(computed)
}

impl ComputedTensors {
    fn push_output(&mut self, mode: &str, suffix: &str, output: &Output) {
        self.push(format!("{mode}.latent{suffix}"), output.latent.value.clone());
        self.push(format!("{mode}.logits{suffix}"), output.logits.value.clone());
    }

    /// Computes logits and latents in both modes of batch normalization, the input gradient, the sliced Wasserstein
    /// distance and the Jacobian penalties.
    fn push_outputs_and_penalties(&mut self, inputs: &Inputs) {
        let Inputs { model, batch: Batch { x, y }, x_adv, directions, .. } = inputs;
        self.push_output("eval", "", &model.forward(x.clone(), &mut Pass::inference()));
        self.push_output("eval", "_adv", &model.forward(x_adv.clone(), &mut Pass::inference()));
        let clean = model.forward(x.clone(), &mut Pass::training_frozen_stats());
        let adversarial = model.forward(x_adv.clone(), &mut Pass::training_frozen_stats());
        self.push_output("train", "", &clean);
        self.push_output("train", "_adv", &adversarial);
        let batch_size = x.dims()[0] as f32;
        let (gradient, _) = input_gradient(model, x.clone(), |z| cross_entropy(z, y.clone()).mul_scalar(batch_size));
        self.push("eval.grad_x", gradient.div_scalar(batch_size));

        let (z, a) = (clean.logits.value, adversarial.logits.value);
        let transport = sliced_wasserstein(z, a, directions.theta.clone());
        let direction = transport.direction();
        self.push("sw.direction", direction.clone());
        self.push("sw.movement", transport.movement);
        self.push("sw.value", transport.value);
        for (name, v) in [("jac.sw", direction), ("jac.random", directions.v.clone())] {
            let pixels = x.clone().autodiff().require_grad();
            let z = model.forward(pixels.clone(), &mut Pass::training_frozen_stats()).logits.value;
            let u = jacobian::pull_back(z, &pixels, v.clone());
            let dual = model.forward(Dual::new(x.clone(), u.clone()), &mut Pass::training_frozen_stats()).logits;
            let tangent = dual.tangent.expect("the input has a tangent");
            self.push(name, jacobian::penalty(u, v, tangent));
        }
    }

    /// Computes the loss and the parameter gradients of every objective, and the running statistics of batch
    /// normalization after one step with the objective `otjr`.
    fn push_objectives(&mut self, inputs: &mut Inputs) {
        let Inputs { config, model, batch, x_adv, directions } = inputs;
        for &objective in Objective::ALL {
            let mut evaluation = objective::compute(objective, config, model, batch, x_adv, directions, false);
            self.push(format!("{objective}.loss"), evaluation.loss.clone());
            let mut gradients = evaluation.loss.backward();
            for slot in evaluation.model.named_tensors().into_iter().filter(|slot| slot.learned()) {
                let gradient = slot.gradient(&mut gradients).unwrap_or_else(|| slot.flat().zeros_like());
                self.push(format!("{objective}.grad.{}", slot.name()), gradient);
            }
            if objective == Objective::Otjr {
                for pass in evaluation.passes {
                    model.update_running(pass);
                }
            }
        }
        for slot in model.named_tensors().into_iter().filter(|slot| !slot.learned()) {
            self.push(format!("after.{}", slot.name()), slot.flat());
        }
    }
}

fn tensor<const D: usize>(array: &Array, device: &Device) -> Result<Tensor<D>, Error> {
    let shape: [usize; D] = array.shape.clone().try_into().map_err(|_| {
        Error::NotAFixture(format!("an input has the shape {:?} where {D} dimensions are needed", array.shape))
    })?;
    Ok(Tensor::from_data(TensorData::new(array.values.clone(), shape), device))
}
