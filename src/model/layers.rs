//! The layers that every network here is made of: convolution, batch normalization, linear.

use burn::tensor::{Device, Gradients, Tensor};

use crate::kernel::{self, Folded, Norm, Tangent, Weight};

use super::{
    Error, Mode, Pass,
    dual::Dual,
    parameter::{Builder, Init, Parameter, Slot},
};

/// The positive part of normalized maps, left to the convolution that reads them (see [`crate::kernel`]).
pub struct Activated {
    value: Tensor<4>,
    norm: Norm,
    tangent: Option<Tangent>,
}

/// A square convolution without bias that keeps the size at stride 1 (padding k/2).
#[derive(Clone, Debug)]
pub struct Conv {
    weight: ConvWeight,
    stride: usize,
}

impl Conv {
    pub fn new(
        builder: &mut Builder,
        name: &str,
        [cin, cout, k]: [usize; 3],
        stride: usize,
        init: Init,
    ) -> Result<Self, Error> {
        let Parameter { name, tensor, .. } = builder.parameter(format!("{name}.weight"), [cout, cin, k, k], init)?;
        Ok(Self { weight: ConvWeight { name, weight: Weight::new(tensor) }, stride })
    }

    /// Maps `[B, in, H, W]` -> `[B, out, H/stride, W/stride]`.
    pub fn forward(&self, x: Dual<4>) -> Dual<4> {
        x.linear(|t| kernel::conv2d(t, &self.weight.weight, self.stride, None))
    }

    /// The same of activated maps; `residual` is added.
    pub fn forward_activated(&self, x: &Activated, residual: Option<Dual<4>>) -> Dual<4> {
        let Activated { value, norm, tangent } = x;
        let (residual, residual_tangent) = residual.map_or((None, None), |r| (Some(r.value), r.tangent));
        let weight = &self.weight.weight;
        let tangent = tangent.clone().map(|tangent| {
            let (value, stride) = (value.clone(), self.stride);
            kernel::activated_conv2d_tangent(value, norm, tangent, weight, stride, residual_tangent)
        });
        Dual { value: kernel::activated_conv2d(value.clone(), norm, weight, self.stride, residual), tangent }
    }

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        vec![&mut self.weight]
    }
}

/// The weight of a convolution under its state-dict name.
#[derive(Clone, Debug)]
struct ConvWeight {
    name: String,
    weight: Weight,
}

impl Slot for ConvWeight {
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
        self.weight = self.weight.with(values.reshape(self.weight.tensor().dims()));
    }

    fn halve(&mut self) {
        self.weight = self.weight.half();
    }

    fn track(&mut self) {
        self.weight = self.weight.tracked();
    }

    fn gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        Some(self.weight.tensor().grad_remove(gradients)?.reshape([-1]))
    }
}

/// Mean `[C]` and unbiased variance `[C]` of one batch, on their way into the running statistics.
pub struct BatchStatistics {
    mean: Tensor<1>,
    variance: Tensor<1>,
}

impl BatchStatistics {
    pub fn on_device(self, device: &Device) -> Self {
        Self { mean: self.mean.to_device(device), variance: self.variance.to_device(device) }
    }
}

/// Batch normalization over `[B, H, W]` of each channel (Ioffe and Szegedy, 2015), epsilon 1e-5, momentum 0.1.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Parameter<1>,
    bias: Parameter<1>,
    running_mean: Parameter<1>,
    running_var: Parameter<1>,
    /// In inference mode, of these values untracked.
    folded: Folded,
}

impl BatchNorm {
    const EPSILON: f32 = 1e-5;
    const MOMENTUM: f32 = 0.1;

    pub fn new(builder: &mut Builder, name: &str, channels: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: builder.parameter(format!("{name}.weight"), [channels], Init::Constant(1.0))?,
            bias: builder.parameter(format!("{name}.bias"), [channels], Init::Constant(0.0))?,
            running_mean: builder.buffer(format!("{name}.running_mean"), [channels], Init::Constant(0.0))?,
            running_var: builder.buffer(format!("{name}.running_var"), [channels], Init::Constant(1.0))?,
            folded: Folded::default(),
        })
    }

    /// Maps -> the same shape. In training mode the batch's statistics are pushed onto `pass`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let (norm, tangent) = self.normalize(&x, pass, kernel::moments);
        Dual { tangent: tangent.map(|tangent| tangent.apply(&x.value)), value: norm.apply(x.value, false) }
    }

    /// The same and its positive part.
    pub fn forward_relu(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let (norm, tangent) = self.normalize(&x, pass, kernel::moments);
        let value = norm.apply(x.value.clone(), true);
        let passes = || value.clone().detach().greater_scalar(0.0).float();
        Dual { tangent: tangent.map(|tangent| tangent.apply(&x.value) * passes()), value }
    }

    /// The same, for a convolution.
    pub fn activate(&self, x: Dual<4>, pass: &mut Pass) -> Activated {
        // The tangent's factors depend on them.
        let moments = if x.tangent.is_some() { kernel::moments } else { kernel::moments_for_conv2d };
        let (norm, tangent) = self.normalize(&x, pass, moments);
        Activated { value: x.value, norm, tangent }
    }

    /// With the running statistics, or in training mode the `moments` of the batch.
    fn normalize(
        &self,
        x: &Dual<4>,
        pass: &mut Pass,
        moments: impl Fn(Tensor<4>) -> [Tensor<1>; 2],
    ) -> (Norm, Option<Tangent>) {
        let of_batch = pass.mode == Mode::Training;
        let [mean, variance] = match pass.mode {
            Mode::Inference => [&self.running_mean, &self.running_var].map(|p| p.tensor.clone()),
            Mode::Training => moments(x.value.clone()),
        };
        if let Some(statistics) = pass.statistics.as_mut().filter(|_| of_batch) {
            let [b, _, h, w] = kernel::dims(&x.value);
            let n = (b * h * w) as f32;
            let unbiased = variance.clone().inner().mul_scalar(n / (n - 1.0).max(1.0));
            statistics.push(BatchStatistics { mean: mean.clone().inner(), variance: unbiased });
        }
        let (gamma, beta) = (self.weight.tensor.clone(), self.bias.tensor.clone());
        let tracked = gamma.is_require_grad() || beta.is_require_grad();
        let folded = if of_batch || tracked { Folded::default() } else { self.folded.clone() };
        let norm = Norm { gamma, beta, mean, variance, epsilon: Self::EPSILON, of_batch, folded };
        let tangent = x.tangent.clone().map(|t| Self::tangent(&norm, &x.value, t));
        (norm, tangent)
    }

    /// The batch's statistics depend on x, so its tangent is gamma / sigma (t - mean t - x^ mean(x^ t)) with
    /// x^ = (x - mean) / sigma: what a change of one image does to the others is part of it.
    fn tangent(norm: &Norm, x: &Tensor<4>, t: Tensor<4>) -> Tangent {
        let [a, _] = norm.scale_and_shift();
        if !norm.of_batch {
            return Tangent { t, b: a.zeros_like(), c: a.zeros_like(), a };
        }
        let inverse_sigma = norm.inverse_sigma();
        let [mean_t, mean_xt] = kernel::cross_moments(x.clone(), t.clone());
        let along = (mean_xt - norm.mean.clone() * mean_t.clone()) * inverse_sigma.clone();
        let b = -(a.clone() * along * inverse_sigma);
        let c = -(a.clone() * mean_t) - b.clone() * norm.mean.clone();
        Tangent { t, a, b, c }
    }

    pub fn update_running(&mut self, batch: BatchStatistics) {
        let mix = |old: &Parameter<1>, new: Tensor<1>| {
            old.tensor.clone().mul_scalar(1.0 - Self::MOMENTUM) + new.mul_scalar(Self::MOMENTUM)
        };
        self.running_mean.tensor = mix(&self.running_mean, batch.mean);
        self.running_var.tensor = mix(&self.running_var, batch.variance);
        self.folded = Folded::default();
    }

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        // Who has these may change them.
        self.folded = Folded::default();
        vec![&mut self.weight, &mut self.bias, &mut self.running_mean, &mut self.running_var]
    }
}

/// The classifying layer: `x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as PyTorch keeps it.
    weight: Parameter<2>,
    bias: Parameter<1>,
}

impl Linear {
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

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        vec![&mut self.weight, &mut self.bias]
    }
}
