//! Stochastic gradient descent with momentum and weight decay, as PyTorch's `optim.SGD` computes it.

use std::collections::BTreeMap;

use burn::tensor::{Device, ExecutionError, Gradients, Tensor, TensorData, Transaction};

use crate::{
    kernel::descend,
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
    /// Moves `model` against the gradients of its tracked copy `tracked`; what is not tracked stays as it is.
    pub fn step(
        &mut self,
        model: &mut Model,
        tracked: &mut Model,
        gradients: &mut Gradients,
        rate: f32,
        momentum: f32,
        weight_decay: f32,
    ) {
        let slots = model.slots().into_iter().zip(tracked.slots());
        for (slot, leaf) in slots.filter(|(slot, _)| slot.learnt()) {
            let Some(gradient) = leaf.gradient(gradients) else { continue };
            let velocity = self.velocity.remove(slot.name()).unwrap_or_else(|| gradient.zeros_like());
            let [weight, velocity] = descend(slot.flat(), velocity, gradient, [rate, momentum, weight_decay]);
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
        for slot in model.slots().into_iter().filter(|slot| slot.learnt()) {
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
