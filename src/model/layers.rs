//! The layers that every network here is made of: convolution, batch normalisation, linear.

use burn::tensor::Tensor;

use crate::kernel::{self, per_channel};

use super::{
    Error, Mode, Pass,
    dual::Dual,
    parameter::{Builder, Init, Parameter, Slot},
};

/// A square convolution without bias that keeps the size at stride 1 (padding k/2).
#[derive(Clone, Debug)]
pub struct Conv {
    /// `[out, in, k, k]`.
    weight: Parameter<4>,
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
        Ok(Self { weight: builder.parameter(format!("{name}.weight"), [cout, cin, k, k], init)?, stride })
    }

    /// `[B, in, H, W]` -> `[B, out, H/stride, W/stride]`.
    pub fn forward(&self, x: Dual<4>) -> Dual<4> {
        x.linear(|t| kernel::conv2d(t, self.weight.tensor.clone(), self.stride))
    }

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        vec![&mut self.weight]
    }
}

/// Mean `[C]` and unbiased variance `[C]` of one batch, on their way into the running statistics.
pub struct BatchStatistics {
    mean: Tensor<1>,
    variance: Tensor<1>,
}

/// Batch normalisation over `[B, H, W]` of each channel (Ioffe and Szegedy, 2015), epsilon 1e-5, momentum 0.1.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Parameter<1>,
    bias: Parameter<1>,
    running_mean: Parameter<1>,
    running_var: Parameter<1>,
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
        })
    }

    /// `[B, C, H, W]` -> the same shape. In training mode the batch's statistics are pushed onto `pass`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        self.normalise(x, pass, false)
    }

    /// The same and its positive part.
    pub fn forward_relu(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        self.normalise(x, pass, true)
    }

    fn normalise(&self, x: Dual<4>, pass: &mut Pass, relu: bool) -> Dual<4> {
        let output = match pass.mode {
            Mode::Inference => self.infer(x, relu),
            Mode::Training => self.train(x, pass, relu),
        };
        if !relu {
            return output;
        }
        let passes = |t: Tensor<4>| t * output.value.clone().detach().greater_scalar(0.0).float();
        Dual { tangent: output.tangent.map(passes), value: output.value }
    }

    /// gamma (x - mean) / sigma + beta, as one scale and one shift per channel, `[C]` each.
    fn scale_and_shift(&self, mean: Tensor<1>, variance: Tensor<1>) -> [Tensor<1>; 2] {
        let scale = self.weight.tensor.clone() / variance.add_scalar(Self::EPSILON).sqrt();
        let shift = self.bias.tensor.clone() - mean * scale.clone();
        [scale, shift]
    }

    /// The value is cut at 0 with `relu`; the tangent is not yet.
    fn infer(&self, x: Dual<4>, relu: bool) -> Dual<4> {
        let [scale, shift] = self.scale_and_shift(self.running_mean.tensor.clone(), self.running_var.tensor.clone());
        let tangent = x.tangent.map(|t| t * per_channel(scale.clone()));
        Dual { value: kernel::affine(x.value, scale, shift, relu), tangent }
    }

    /// Over the batch. The statistics depend on x, so the tangent is gamma / sigma (t - mean t - x^ mean(x^ t)) with
    /// x^ = (x - mean) / sigma: what a change of one picture does to the others is part of it.
    fn train(&self, x: Dual<4>, pass: &mut Pass, relu: bool) -> Dual<4> {
        let [b, c, h, w] = x.value.dims();
        let n = (b * h * w) as f32;
        let [mean, variance] = kernel::moments(x.value.clone());
        if let Some(statistics) = &mut pass.statistics {
            statistics.push(BatchStatistics {
                mean: mean.clone().inner(),
                variance: variance.clone().inner().mul_scalar(n / (n - 1.0).max(1.0)),
            });
        }
        let [scale, shift] = self.scale_and_shift(mean.clone(), variance.clone());
        let tangent = x.tangent.map(|t| {
            let inverse_sigma = variance.add_scalar(Self::EPSILON).sqrt().recip();
            let normalised = (x.value.clone() - per_channel(mean)) * per_channel(inverse_sigma);
            let mean_of = |t: Tensor<4>| per_channel(t.mean_dims(&[0, 2, 3]).reshape([c]));
            let along = mean_of(normalised.clone() * t.clone());
            (t.clone() - mean_of(t) - normalised * along) * per_channel(scale.clone())
        });
        Dual { value: kernel::affine(x.value, scale, shift, relu), tangent }
    }

    pub fn update_running(&mut self, batch: BatchStatistics) {
        let mix = |old: &Parameter<1>, new: Tensor<1>| {
            old.tensor.clone().mul_scalar(1.0 - Self::MOMENTUM) + new.mul_scalar(Self::MOMENTUM)
        };
        self.running_mean.tensor = mix(&self.running_mean, batch.mean);
        self.running_var.tensor = mix(&self.running_var, batch.variance);
    }

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
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
