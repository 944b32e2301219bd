//! Arguments of the convolutions of [`super::conv_op`], stored for the backward pass.

use std::sync::Arc;

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::Shape,
};

use super::{
    burn_glue::{contiguous, dims, floats, tensor},
    conv::{ConvDims, WeightSlice},
    fused_input::{FeatureMaps, GateTangent, ReluGate},
    weight_layouts::WeightLayouts,
};

/// Everything that a convolution reads, except the residual.
#[derive(Clone, Debug)]
pub struct ConvArgs {
    /// Dimensions.
    pub dims: ConvDims,
    /// Contiguous input, `[B, H, W, C]`.
    pub x: FloatTensor<Flex>,
    /// Contiguous weight, `[out, C, k, k]`.
    pub weight: FloatTensor<Flex>,
    /// Cached layouts of the weight.
    pub layouts: Arc<WeightLayouts>,
    /// Fused normalization and ReLU.
    pub gate: Option<GateTensors>,
}

/// Tensors of a [`ReluGate`], contiguous.
#[derive(Clone, Debug)]
pub struct GateTensors {
    /// `[C]`.
    pub scale: FloatTensor<Flex>,
    /// `[C]`.
    pub shift: FloatTensor<Flex>,
    /// Tensors of the tangent.
    pub tangent: Option<GateTangentTensors>,
}

/// Tensors of a [`GateTangent`], contiguous.
#[derive(Clone, Debug)]
pub struct GateTangentTensors {
    /// `[B, H, W, C]`.
    pub t: FloatTensor<Flex>,
    /// `[C]`.
    pub a: FloatTensor<Flex>,
    /// `[C]`.
    pub b: FloatTensor<Flex>,
    /// `[C]`.
    pub c: FloatTensor<Flex>,
}

impl ConvArgs {
    /// Collects the arguments and makes them contiguous.
    ///
    /// # Panics
    /// If the weight is not `[out, C, k, k]` with the C of `x`.
    pub fn new(
        x: FloatTensor<Flex>,
        weight: FloatTensor<Flex>,
        layouts: Arc<WeightLayouts>,
        stride: usize,
        gate: Option<GateTensors>,
    ) -> Self {
        let [batch, h, w, cin] = dims(&x);
        let [cout, _, k, _] = dims(&weight);
        let expected = Shape::new([cout, cin, k, k]);
        assert_eq!(*weight.layout().shape(), expected, "shape of the weight of a convolution of {cin} channels");
        let dims = ConvDims { batch, cin, cout, h, w, k, stride };
        Self { dims, x: contiguous(x), weight: contiguous(weight), layouts, gate }
    }

    /// Returns the input as slices.
    pub fn maps(&self) -> FeatureMaps<'_> {
        let gate = self.gate.as_ref().map(|gate| ReluGate {
            scale: floats(&gate.scale),
            shift: floats(&gate.shift),
            tangent: gate.tangent.as_ref().map(|GateTangentTensors { t, a, b, c }| {
                let [t, a, b, c] = [t, a, b, c].map(floats);
                GateTangent { t, a, b, c }
            }),
        });
        FeatureMaps { x: floats(&self.x), gate }
    }

    /// Returns the weight as a slice.
    pub fn weight(&self) -> WeightSlice<'_> {
        WeightSlice { values: floats(&self.weight), layouts: &self.layouts }
    }

    /// Convolves and adds `residual`. Returns `[B, H/stride, W/stride, out]`.
    pub fn forward(&self, residual: Option<FloatTensor<Flex>>) -> FloatTensor<Flex> {
        let ConvDims { batch, cout, .. } = self.dims;
        let [h, w] = self.dims.output();
        let residual = residual.map(contiguous);
        let y = self.dims.forward(&self.maps(), self.weight(), residual.as_ref().map(floats));
        tensor(y, [batch, h, w, cout])
    }
}

/// Values of a batch normalization that its gradient needs, `[C]` each.
#[derive(Clone, Debug)]
pub struct BatchNormValues {
    gamma: Vec<f32>,
    /// Mean that was subtracted.
    pub mean: Vec<f32>,
    inverse_sigma: Vec<f32>,
    /// Whether mean and variance are the statistics of the normalized feature maps.
    pub batch_statistics: bool,
}

/// Gradients of the parameters of a batch normalization, `[C]` each.
pub struct BatchNormGradient {
    /// Gradient of gamma.
    pub gamma: Vec<f32>,
    /// Gradient of the mean.
    pub mean: Vec<f32>,
    /// Gradient of the variance.
    pub variance: Vec<f32>,
}

impl BatchNormValues {
    /// Folds a normalization into a gate with scale and shift, and returns the values for the backward pass.
    /// `tensors` are gamma, beta, mean and variance, `[C]` each.
    pub fn fold(tensors: [FloatTensor<Flex>; 4], epsilon: f32, batch_statistics: bool) -> (GateTensors, Self) {
        let [gamma, beta, mean, variance] = tensors.map(|t| floats(&contiguous(t)).to_vec());
        let inverse_sigma: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse_sigma).map(|(g, s)| g * s).collect();
        let shift: Vec<f32> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        let channels = [scale.len()];
        let gate = GateTensors { scale: tensor(scale, channels), shift: tensor(shift, channels), tangent: None };
        (gate, Self { gamma, mean, inverse_sigma, batch_statistics })
    }

    /// Computes the gradients of gamma, mean and variance from the gradients of scale and shift.
    pub fn gradient(&self, dscale: &[f32], dshift: &[f32]) -> BatchNormGradient {
        let mut gradient = BatchNormGradient { gamma: Vec::new(), mean: Vec::new(), variance: Vec::new() };
        for c in 0..dscale.len() {
            // scale = gamma / sigma, shift = beta - mean scale.
            let dscale = dscale[c] - self.mean[c] * dshift[c];
            let inverse_sigma = self.inverse_sigma[c];
            gradient.gamma.push(dscale * inverse_sigma);
            gradient.mean.push(-dshift[c] * self.gamma[c] * inverse_sigma);
            gradient.variance.push(-0.5 * dscale * self.gamma[c] * inverse_sigma.powi(3));
        }
        gradient
    }
}
