//! Multiply-adds of a network: its convolutions, its last layer, and passes through all of them.

use std::fmt;

use super::Model;
use crate::data::IMAGE_SIZE;

/// Shape of a convolution of feature maps with `side` x `side` pixels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Kernel size.
    pub k: usize,
    /// Stride.
    pub stride: usize,
    /// Height and width of the input.
    pub side: usize,
}

impl ConvShape {
    /// Returns the multiply-adds of the forward pass of one image.
    pub fn multiply_adds(&self) -> u64 {
        let side = self.side.div_ceil(self.stride);
        (self.cin * self.cout * self.k * self.k * side * side) as u64
    }
}

impl fmt::Display for ConvShape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { cin, cout, k, stride, side } = self;
        f.pad(&format!("{cin}->{cout} {k}x{k}/{stride} at {side}x{side}"))
    }
}

/// Returns the convolutions of a model in the order of the state dict. The input of the first one is the pixels.
pub fn convolutions(model: &mut Model) -> Vec<ConvShape> {
    let weights = model.named_tensors().into_iter().filter(|tensor| tensor.shape().len() == 4);
    weights.map(|tensor| conv_shape(tensor.name(), &tensor.shape())).collect()
}

/// Derives the shape of a convolution from its name and its weight `[out, in, k, k]`.
///
/// Examples of names are `block2.layer.0.conv1.weight` and `layer2.0.shortcut.0.weight`: the first number is the stage,
/// the second one the unit. `conv1.weight` belongs to the first stage. Every other stage halves height and width in its
/// unit 0, in all convolutions except conv2.
fn conv_shape(name: &str, shape: &[usize]) -> ConvShape {
    let digits = name.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<usize> = digits.filter_map(|digits| digits.parse().ok()).collect();
    let stage = numbers[0];
    let first_unit = stage > 1 && numbers[1] == 0;
    let strided = first_unit && numbers.get(2) != Some(&2);
    // A strided convolution reads the output of the previous stage.
    let side = IMAGE_SIZE >> (stage - if strided { 2 } else { 1 });
    ConvShape { cin: shape[1], cout: shape[0], k: shape[2], stride: if strided { 2 } else { 1 }, side }
}

/// Numbers of forward and backward passes of a computation. Each of them takes the same number of multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// Forward passes.
    pub forward: u64,
    /// Backward passes to the pixels: gradients of the input of every layer.
    pub pixels: u64,
    /// Backward passes to the input of the second layer, for computations in which pixels are constants.
    pub inputs: u64,
    /// Backward passes to the weights.
    pub weights: u64,
}

impl Passes {
    /// Returns the multiply-adds of all passes of one image.
    pub fn multiply_adds(&self, model: &mut Model) -> u64 {
        let convolutions = convolutions(model);
        let last_layer = model.named_tensors().into_iter().find(|tensor| tensor.shape().len() == 2);
        let last_layer = last_layer.map_or(0, |weight| weight.shape().iter().product::<usize>() as u64);
        let per_pass: u64 = convolutions.iter().map(ConvShape::multiply_adds).sum::<u64>() + last_layer;
        (self.forward + self.pixels + self.inputs + self.weights) * per_pass
            - self.inputs * convolutions[0].multiply_adds()
    }
}
