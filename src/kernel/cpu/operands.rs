//! What the convolutions of [`super::conv_op`] read, as the kernels take it.

use std::sync::Arc;

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::Shape,
};

use super::{
    conv::{Conv, Weight},
    flex::{contiguous, dims, floats, tensor},
    maps::{self, Gate, Maps},
    packed::Packed,
};

/// What a convolution reads, kept for its gradients.
#[derive(Clone, Debug)]
pub struct Operands {
    pub conv: Conv,
    pub x: FloatTensor<Flex>,
    pub weight: FloatTensor<Flex>,
    pub packed: Arc<Packed>,
    pub gate: Option<Factors>,
}

#[derive(Clone, Debug)]
pub struct Factors {
    pub scale: FloatTensor<Flex>,
    pub shift: FloatTensor<Flex>,
    pub tangent: Option<Tangent>,
}

#[derive(Clone, Debug)]
pub struct Tangent {
    pub t: FloatTensor<Flex>,
    pub a: FloatTensor<Flex>,
    pub b: FloatTensor<Flex>,
    pub c: FloatTensor<Flex>,
}

impl Operands {
    pub fn new(
        x: FloatTensor<Flex>,
        weight: FloatTensor<Flex>,
        packed: Arc<Packed>,
        stride: usize,
        gate: Option<Factors>,
    ) -> Self {
        let [batch, h, w, cin] = dims(&x);
        let [cout, _, k, _] = dims(&weight);
        let expected = Shape::new([cout, cin, k, k]);
        assert_eq!(*weight.layout().shape(), expected, "the weight of a convolution of {cin} channels");
        let conv = Conv { batch, cin, cout, h, w, k, stride };
        Self { conv, x: contiguous(x), weight: contiguous(weight), packed, gate }
    }

    pub fn maps(&self) -> Maps<'_> {
        let gate = self.gate.as_ref().map(|gate| Gate {
            scale: floats(&gate.scale),
            shift: floats(&gate.shift),
            tangent: gate.tangent.as_ref().map(|Tangent { t, a, b, c }| {
                let [t, a, b, c] = [t, a, b, c].map(floats);
                maps::Tangent { t, a, b, c }
            }),
        });
        Maps { x: floats(&self.x), gate }
    }

    pub fn weight(&self) -> Weight<'_> {
        Weight { values: floats(&self.weight), packed: &self.packed }
    }

    pub fn forward(&self, residual: Option<FloatTensor<Flex>>) -> FloatTensor<Flex> {
        let Conv { batch, cout, .. } = self.conv;
        let [h, w] = self.conv.output();
        let residual = residual.map(contiguous);
        let y = self.conv.forward(&self.maps(), self.weight(), residual.as_ref().map(floats));
        tensor(y, [batch, h, w, cout])
    }
}

/// Batch normalization's numbers of each channel.
#[derive(Clone, Debug)]
pub struct Norm {
    gamma: Vec<f32>,
    pub mean: Vec<f32>,
    inverse_sigma: Vec<f32>,
    pub of_batch: bool,
}

impl Norm {
    /// As one factor and one summand, and what is needed to go back.
    pub fn new([gamma, beta, mean, variance]: [FloatTensor<Flex>; 4], epsilon: f32, of_batch: bool) -> (Factors, Self) {
        let [gamma, beta, mean, variance] = [gamma, beta, mean, variance].map(|t| floats(&contiguous(t)).to_vec());
        let inverse_sigma: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse_sigma).map(|(g, s)| g * s).collect();
        let shift: Vec<f32> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        let channels = [scale.len()];
        let factors = Factors { scale: tensor(scale, channels), shift: tensor(shift, channels), tangent: None };
        (factors, Self { gamma, mean, inverse_sigma, of_batch })
    }

    /// From the gradients of scale and shift: those of gamma, mean and variance.
    pub fn gradients(&self, dscale: &[f32], dshift: &[f32]) -> [Vec<f32>; 3] {
        let of_channel = |c: usize| {
            // shift = beta - mean scale, scale = gamma / sigma
            let dscale = dscale[c] - self.mean[c] * dshift[c];
            let inverse_sigma = self.inverse_sigma[c];
            let dvariance = -0.5 * dscale * self.gamma[c] * inverse_sigma.powi(3);
            [dscale * inverse_sigma, -dshift[c] * self.gamma[c] * inverse_sigma, dvariance]
        };
        let all: Vec<[f32; 3]> = (0..dscale.len()).map(of_channel).collect();
        [0, 1, 2].map(|i| all.iter().map(|values| values[i]).collect())
    }
}
