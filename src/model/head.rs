//! The last layer (head), which classifies latent representations: initialization, and adaptation to other classes.

use super::{
    Architecture, Error,
    layers::Linear,
    parameter::{Arrays, Builder, Init},
};
use crate::random::{self, StreamId};

/// Description of the last layer of an architecture.
struct Head {
    /// Name in the state dict.
    name: &'static str,
    /// Input features.
    inputs: usize,
    weight: Init,
    bias: Init,
}

impl Head {
    fn of(architecture: Architecture) -> Self {
        let bound = |inputs: usize| Init::Uniform(1.0 / (inputs as f32).sqrt());
        match architecture {
            Architecture::WideResNet { width, .. } => {
                let inputs = 64 * width;
                Self { name: "fc", inputs, weight: bound(inputs), bias: Init::Constant(0.0) }
            }
            Architecture::ResNet18 { width, .. } => {
                let inputs = 8 * width;
                Self { name: "linear", inputs, weight: bound(inputs), bias: bound(inputs) }
            }
        }
    }
}

/// Makes the last layer.
///
/// # Errors
/// See [`Builder::parameter`].
pub(super) fn build(builder: &mut Builder, architecture: Architecture, classes: usize) -> Result<Linear, Error> {
    let Head { name, inputs, weight, bias } = Head::of(architecture);
    Linear::new(builder, name, [inputs, classes], weight, bias)
}

/// Returns the placeholder for the name of class `i` in files without class names.
pub fn unnamed(i: usize) -> String {
    format!("class {i}")
}

/// Returns how many rows of a trained last layer can be reused for `classes`: all rows if `classes` starts with the
/// known classes, otherwise none. A placeholder name ([`unnamed`]) matches every class.
pub fn reusable_rows(known: &[String], classes: &[String]) -> usize {
    let same = |(i, name): (usize, &String)| classes.get(i).is_some_and(|class| name == class || *name == unnamed(i));
    if known.iter().enumerate().all(same) { known.len() } else { 0 }
}

/// Returns the state dict of a model with `classes` classes. The first `kept` rows of the last layer are unchanged. The
/// other rows are initialized as in a new model, each from `seed` and its index.
///
/// # Errors
/// If the network is not supported, or its last layer is missing or has a wrong shape.
pub fn resize(mut arrays: Arrays, kept: usize, classes: usize, seed: u64) -> Result<Arrays, Error> {
    let (architecture, known) = Architecture::infer(&arrays)?;
    let Head { name, inputs, weight, bias } = Head::of(architecture);
    let kept = kept.min(known).min(classes);
    for (part, init, shape) in [("weight", weight, vec![known, inputs]), ("bias", bias, vec![known])] {
        let name = format!("{name}.{part}");
        let array = arrays.get_mut(&name).ok_or_else(|| Error::Missing(name.clone()))?;
        if array.shape != shape {
            return Err(Error::Shape { name, expected: shape, found: array.shape.clone() });
        }
        let row = shape[1..].iter().product::<usize>();
        array.values.truncate(kept * row);
        array.shape[0] = classes;
        for class in kept..classes {
            let index = 2 * class as u64 + u64::from(part == "bias");
            array.values.extend(init.draw(&mut random::stream(seed, StreamId::Weights, 1 + index), row));
        }
    }
    Ok(arrays)
}
