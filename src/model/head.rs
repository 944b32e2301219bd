//! The last layer, which classifies latents: how it begins, and how it comes to know more classes.

use super::{
    Architecture, Error,
    layers::Linear,
    parameter::{Arrays, Builder, Init},
};
use crate::random::{self, StreamId};

/// What an architecture's last layer is called in a state dict, how many inputs it has, and how weight and bias begin.
struct Head {
    name: &'static str,
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

pub(super) fn build(builder: &mut Builder, architecture: Architecture, classes: usize) -> Result<Linear, Error> {
    let Head { name, inputs, weight, bias } = Head::of(architecture);
    Linear::new(builder, name, [inputs, classes], weight, bias)
}

/// What stands for the name of class `i` where a file has none.
pub fn unnamed(i: usize) -> String {
    format!("class {i}")
}

/// How many rows of a last layer go on being right where `classes` are to be told apart: all of them if the classes begin
/// with those that it knows, by name or without any ([`unnamed`]); otherwise none.
pub fn kept(known: &[String], classes: &[String]) -> usize {
    let same = |(i, name): (usize, &String)| classes.get(i).is_some_and(|class| name == class || *name == unnamed(i));
    if known.iter().enumerate().all(same) { known.len() } else { 0 }
}

/// The state dict of a model that knows `classes` classes. The rows of the last layer for the first `kept` of those that
/// it knew stay bit for bit; the others are drawn as a fresh model's are, each from `seed` and its number.
///
/// # Errors
/// If the arrays are no network known here, or its last layer is missing or of another shape.
pub fn widen(mut arrays: Arrays, kept: usize, classes: usize, seed: u64) -> Result<Arrays, Error> {
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
