//! Layers of the networks: convolution, batch normalization, linear.

use burn::tensor::{Device, Gradients, Tensor};

use crate::kernel::{self, BatchNormParams, FoldedNorm, NormTangent, Weight};

use super::{
    Error, Mode, Pass,
    dual::Dual,
    parameter::{Builder, Init, NamedTensor, Parameter},
};

/// Feature maps after batch normalization and ReLU, not yet computed: a convolution fuses them (see [`crate::kernel`]).
pub struct FusedActivation {
    /// Feature maps before the normalization.
    value: Tensor<4>,
    norm: BatchNormParams,
    tangent: Option<NormTangent>,
}

/// Convolution with an odd square kernel, padding k/2 and no bias.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: NamedWeight,
    stride: usize,
}

impl Conv2d {
    /// Makes the layer with `name.weight`.
    ///
    /// # Errors
    /// See [`Builder::parameter`].
    pub fn new(
        builder: &mut Builder,
        name: &str,
        [cin, cout, k]: [usize; 3],
        stride: usize,
        init: Init,
    ) -> Result<Self, Error> {
        let Parameter { name, tensor, .. } = builder.parameter(format!("{name}.weight"), [cout, cin, k, k], init)?;
        Ok(Self { weight: NamedWeight { name, weight: Weight::new(tensor) }, stride })
    }

    /// Feature maps `[B, in, H, W]` -> `[B, out, H/stride, W/stride]`.
    pub fn forward(&self, x: Dual<4>) -> Dual<4> {
        x.linear(|t| kernel::conv2d(t, &self.weight.weight, self.stride, None))
    }

    /// [`Conv2d::forward`] of a fused activation; `residual` is added.
    pub fn forward_fused(&self, x: &FusedActivation, residual: Option<Dual<4>>) -> Dual<4> {
        let FusedActivation { value, norm, tangent } = x;
        let (residual, residual_tangent) = residual.map_or((None, None), |r| (Some(r.value), r.tangent));
        let weight = &self.weight.weight;
        let tangent = tangent.clone().map(|tangent| {
            let (value, stride) = (value.clone(), self.stride);
            kernel::norm_relu_conv2d_tangent(value, norm, tangent, weight, stride, residual_tangent)
        });
        Dual { value: kernel::norm_relu_conv2d(value.clone(), norm, weight, self.stride, residual), tangent }
    }

    /// Returns the weight.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        vec![&mut self.weight]
    }
}

/// Weight of a convolution with its state-dict name.
#[derive(Clone, Debug)]
struct NamedWeight {
    name: String,
    weight: Weight,
}

impl NamedTensor for NamedWeight {
    fn name(&self) -> &str {
        &self.name
    }

    fn learned(&self) -> bool {
        true
    }

    fn shape(&self) -> Vec<usize> {
        self.weight.tensor().dims().to_vec()
    }

    fn flat(&self) -> Tensor<1> {
        self.weight.tensor().clone().inner().reshape([-1])
    }

    fn set_flat(&mut self, values: Tensor<1>) {
        self.weight = self.weight.with_values(values.reshape(self.weight.tensor().dims()));
    }

    fn use_f16(&mut self) {
        self.weight = self.weight.with_f16();
    }

    fn track(&mut self) {
        self.weight = self.weight.tracked();
    }

    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        Some(self.weight.tensor().grad_remove(gradients)?.reshape([-1]))
    }
}

/// Mean and unbiased variance of one batch, `[C]` each, for the update of the running statistics.
pub struct BatchStatistics {
    mean: Tensor<1>,
    variance: Tensor<1>,
}

impl BatchStatistics {
    /// Moves the statistics to a device.
    pub fn on_device(self, device: &Device) -> Self {
        Self { mean: self.mean.to_device(device), variance: self.variance.to_device(device) }
    }
}

/// Batch normalization of each channel over `[B, H, W]` (Ioffe and Szegedy, 2015), with epsilon 1e-5 and momentum 0.1.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Parameter<1>,
    bias: Parameter<1>,
    running_mean: Parameter<1>,
    running_var: Parameter<1>,
    /// Cache for inference with untracked parameters.
    folded: FoldedNorm,
}

impl BatchNorm {
    const EPSILON: f32 = 1e-5;
    const MOMENTUM: f32 = 0.1;

    /// Makes the layer with `name.weight`, `name.bias`, `name.running_mean` and `name.running_var`.
    ///
    /// # Errors
    /// See [`Builder::parameter`].
    pub fn new(builder: &mut Builder, name: &str, channels: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: builder.parameter(format!("{name}.weight"), [channels], Init::Constant(1.0))?,
            bias: builder.parameter(format!("{name}.bias"), [channels], Init::Constant(0.0))?,
            running_mean: builder.buffer(format!("{name}.running_mean"), [channels], Init::Constant(0.0))?,
            running_var: builder.buffer(format!("{name}.running_var"), [channels], Init::Constant(1.0))?,
            folded: FoldedNorm::default(),
        })
    }

    /// Normalizes feature maps. In training mode it appends the statistics of the batch to `pass`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let (norm, tangent) = self.normalize(&x, pass, kernel::moments);
        Dual { tangent: tangent.map(|tangent| tangent.apply(&x.value)), value: norm.apply(x.value, false) }
    }

    /// [`BatchNorm::forward`] and ReLU.
    pub fn forward_relu(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let (norm, tangent) = self.normalize(&x, pass, kernel::moments);
        let value = norm.apply(x.value.clone(), true);
        let gate = || value.clone().detach().greater_scalar(0.0).float();
        Dual { tangent: tangent.map(|tangent| tangent.apply(&x.value) * gate()), value }
    }

    /// [`BatchNorm::forward_relu`], left to the convolution that reads the result.
    pub fn forward_relu_fused(&self, x: Dual<4>, pass: &mut Pass) -> FusedActivation {
        // The factors of a tangent depend on the moments, so gradients must flow through them.
        let moments = if x.tangent.is_some() { kernel::moments } else { kernel::moments_for_conv2d };
        let (norm, tangent) = self.normalize(&x, pass, moments);
        FusedActivation { value: x.value, norm, tangent }
    }

    /// Chooses the statistics: the running statistics, or in training mode the `moments` of the batch.
    fn normalize(
        &self,
        x: &Dual<4>,
        pass: &mut Pass,
        moments: impl Fn(Tensor<4>) -> [Tensor<1>; 2],
    ) -> (BatchNormParams, Option<NormTangent>) {
        let batch_statistics = pass.mode == Mode::Training;
        let [mean, variance] = match pass.mode {
            Mode::Inference => [&self.running_mean, &self.running_var].map(|p| p.tensor.clone()),
            Mode::Training => moments(x.value.clone()),
        };
        if let Some(statistics) = pass.statistics.as_mut().filter(|_| batch_statistics) {
            let [b, _, h, w] = kernel::dims(&x.value);
            let n = (b * h * w) as f32;
            let unbiased = variance.clone().inner().mul_scalar(n / (n - 1.0).max(1.0));
            statistics.push(BatchStatistics { mean: mean.clone().inner(), variance: unbiased });
        }
        let (gamma, beta) = (self.weight.tensor.clone(), self.bias.tensor.clone());
        let tracked = gamma.is_require_grad() || beta.is_require_grad();
        let folded = if batch_statistics || tracked { FoldedNorm::default() } else { self.folded.clone() };
        let epsilon = Self::EPSILON;
        let norm = BatchNormParams { gamma, beta, mean, variance, epsilon, batch_statistics, folded };
        let tangent = x.tangent.clone().map(|t| Self::tangent(&norm, &x.value, t));
        (norm, tangent)
    }

    /// Returns the tangent. Batch statistics depend on x, so in training mode it is gamma / sigma (t - mean(t) - x^
    /// mean(x^ t)) with x^ = (x - mean) / sigma. It includes the effect of a change of one image on the other images.
    fn tangent(norm: &BatchNormParams, x: &Tensor<4>, t: Tensor<4>) -> NormTangent {
        let [a, _] = norm.scale_and_shift();
        if !norm.batch_statistics {
            return NormTangent { t, b: a.zeros_like(), c: a.zeros_like(), a };
        }
        let inverse_sigma = norm.inverse_sigma();
        let [mean_t, mean_xt] = kernel::cross_moments(x.clone(), t.clone());
        let correlation = (mean_xt - norm.mean.clone() * mean_t.clone()) * inverse_sigma.clone();
        let b = -(a.clone() * correlation * inverse_sigma);
        let c = -(a.clone() * mean_t) - b.clone() * norm.mean.clone();
        NormTangent { t, a, b, c }
    }

    /// Moves the running statistics towards those of a batch.
    pub fn update_running(&mut self, batch: BatchStatistics) {
        let mix = |old: &Parameter<1>, new: Tensor<1>| {
            old.tensor.clone().mul_scalar(1.0 - Self::MOMENTUM) + new.mul_scalar(Self::MOMENTUM)
        };
        self.running_mean.tensor = mix(&self.running_mean, batch.mean);
        self.running_var.tensor = mix(&self.running_var, batch.variance);
        self.folded = FoldedNorm::default();
    }

    /// Returns weight, bias, running mean and running variance.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        // The caller may change the tensors.
        self.folded = FoldedNorm::default();
        vec![&mut self.weight, &mut self.bias, &mut self.running_mean, &mut self.running_var]
    }
}

/// Linear layer: `x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as in PyTorch.
    weight: Parameter<2>,
    bias: Parameter<1>,
}

impl Linear {
    /// Makes the layer with `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// See [`Builder::parameter`].
    pub fn new(
        builder: &mut Builder,
        name: &str,
        [cin, cout]: [usize; 2],
        weight: Init,
        bias: Init,
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: builder.parameter(format!("{name}.weight"), [cout, cin], weight)?,
            bias: builder.parameter(format!("{name}.bias"), [cout], bias)?,
        })
    }

    /// `[B, in]` -> `[B, out]`.
    pub fn forward(&self, x: Dual<2>) -> Dual<2> {
        let weight = self.weight.tensor.clone().transpose();
        x.linear(|t| t.matmul(weight.clone())).shift(self.bias.tensor.clone().unsqueeze())
    }

    /// Returns weight and bias.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        vec![&mut self.weight, &mut self.bias]
    }
}
