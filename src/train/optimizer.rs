//! Stochastic gradient descent with momentum and weight decay, as PyTorch's `optim.SGD` computes it.

use std::collections::BTreeMap;

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};

use super::{TrainConfig, gradient::Gradient};
use crate::{
    kernel::{SgdParams, sgd_step},
    model::{
        self, Model,
        parameter::{Array, Arrays, Builder, Init},
    },
};

/// v <- mu v + (g + wd w);  w <- w - lr v.
#[derive(Clone, Debug, Default)]
pub struct Sgd {
    /// By parameter name, `[n]`; a parameter not yet met has velocity 0.
    velocity: BTreeMap<String, Tensor<1>>,
}

impl Sgd {
    /// Moves `model` against a gradient, by the momentum and weight decay of `config`; what has no gradient stays.
    pub fn step(&mut self, model: &mut Model, gradient: Gradient, rate: f32, config: &TrainConfig) {
        for (slot, gradient) in model.named_tensors().into_iter().zip(gradient) {
            let Some(gradient) = gradient else { continue };
            // Biases and batch normalization are vectors.
            let decays = config.decay_all || slot.shape().len() > 1;
            let weight_decay = if decays { config.weight_decay } else { 0.0 };
            let params = SgdParams { learning_rate: rate, momentum: config.momentum, weight_decay };
            let velocity = self.velocity.remove(slot.name()).unwrap_or_else(|| gradient.zeros_like());
            let [weight, velocity] = sgd_step(slot.flat(), velocity, gradient, params);
            slot.set_flat(weight);
            self.velocity.insert(slot.name().to_owned(), velocity);
        }
    }

    /// Reads the velocities back.
    pub async fn arrays(&self) -> Result<Arrays, ExecutionError> {
        let read = self.velocity.values().fold(Transaction::default(), |t, v| t.register(v.clone()));
        let data = read.execute_async().await?;
        let array = |data: TensorData| Array { shape: data.shape().to_vec(), values: data.iter::<f32>().collect() };
        Ok(self.velocity.keys().cloned().zip(data.into_iter().map(array)).collect())
    }

    /// The velocities of `model`'s parameters that `arrays` holds under `prefix`.
    ///
    /// # Errors
    /// If one is of no parameter of the model, has another number of values, or is not finite.
    pub fn from_arrays(
        arrays: &Arrays,
        prefix: &str,
        model: &mut Model,
        device: &Device,
    ) -> Result<Self, model::Error> {
        let (architecture, mut builder) = (model.architecture, Builder::named(arrays, device));
        let mut velocity = BTreeMap::new();
        for slot in model.named_tensors().into_iter().filter(|slot| slot.learned()) {
            let name = format!("{prefix}{}", slot.name());
            if arrays.contains_key(&name) {
                let n = slot.shape().iter().product();
                velocity.insert(slot.name().to_owned(), builder.buffer(name, [n], Init::Constant(0.0))?.tensor);
            }
        }
        let foreign = |name: &&String| name.strip_prefix(prefix).is_some_and(|name| !velocity.contains_key(name));
        match arrays.keys().find(foreign) {
            Some(name) => Err(model::Error::Unexpected(name.clone(), architecture)),
            None => Ok(Self { velocity }),
        }
    }
}
