//! The convolutions and the last layer of a network, and what it costs to go through them.

use std::fmt;

use super::Model;
use crate::data::IMAGE_SIZE;

/// The shape of a convolution on images of `side` x `side`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    pub cin: usize,
    pub cout: usize,
    pub k: usize,
    pub stride: usize,
    pub side: usize,
}

impl Conv {
    /// Of one image.
    pub fn multiply_adds(&self) -> u64 {
        let side = self.side.div_ceil(self.stride);
        (self.cin * self.cout * self.k * self.k * side * side) as u64
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { cin, cout, k, stride, side } = self;
        f.pad(&format!("{cin}->{cout} {k}x{k}/{stride} at {side}x{side}"))
    }
}

/// In the order of the state dict; the first one sees the pixels.
pub fn convolutions(model: &mut Model) -> Vec<Conv> {
    let weights = model.slots().into_iter().filter(|slot| slot.shape().len() == 4);
    weights.map(|slot| named(slot.name(), &slot.shape())).collect()
}

/// `block2.layer.0.conv1.weight`, `layer2.0.shortcut.0.weight`: the first number is the stage, of which each but the
/// first halves the sides, in its unit 0, by all convolutions but conv2; `conv1.weight` is of the first stage.
fn named(name: &str, shape: &[usize]) -> Conv {
    let digits = name.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<usize> = digits.filter_map(|digits| digits.parse().ok()).collect();
    let stage = numbers[0];
    let halves = stage > 1 && numbers[1] == 0;
    let strided = halves && numbers.get(2) != Some(&2);
    // The sides after the stage, or before it.
    let side = IMAGE_SIZE >> (stage - if strided { 2 } else { 1 });
    Conv { cin: shape[1], cout: shape[0], k: shape[2], stride: if strided { 2 } else { 1 }, side }
}

/// How often a computation goes through the network, forward or backward: each way takes as many multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    pub forward: u64,
    /// Gradients of every layer's input, down to the pixels.
    pub pixels: u64,
    /// The same without the first convolution's, which is not needed where pixels are constants.
    pub inputs: u64,
    pub weights: u64,
}

impl Passes {
    /// Of one image.
    pub fn multiply_adds(&self, model: &mut Model) -> u64 {
        let convolutions = convolutions(model);
        let last = model.slots().into_iter().find(|slot| slot.shape().len() == 2);
        let last = last.map_or(0, |slot| slot.shape().iter().product::<usize>() as u64);
        let one: u64 = convolutions.iter().map(Conv::multiply_adds).sum::<u64>() + last;
        (self.forward + self.pixels + self.inputs + self.weights) * one - self.inputs * convolutions[0].multiply_adds()
    }
}
