//! WideResNet-D-W (Zagoruyko and Komodakis, 2016) for 32x32 images, as in TRADES and the OTJR reference code.

use crate::kernel;

use super::{
    Error, Pass,
    dual::Dual,
    layers::{BatchNorm, Conv2d},
    parameter::{Builder, Init, NamedTensor},
};

/// Pre-activation unit: BN, ReLU, convolution, BN, ReLU, convolution, plus a shortcut.
#[derive(Clone, Debug)]
struct Unit {
    name: String,
    bn1: BatchNorm,
    conv1: Conv2d,
    bn2: BatchNorm,
    conv2: Conv2d,
    /// 1x1 convolution of the activated input, if the number of channels changes.
    shortcut: Option<Conv2d>,
}

impl Unit {
    fn new(builder: &mut Builder, name: &str, cin: usize, cout: usize, stride: usize) -> Result<Self, Error> {
        Ok(Self {
            name: name.into(),
            bn1: BatchNorm::new(builder, &format!("{name}.bn1"), cin)?,
            conv1: conv(builder, &format!("{name}.conv1"), [cin, cout, 3], stride)?,
            bn2: BatchNorm::new(builder, &format!("{name}.bn2"), cout)?,
            conv2: conv(builder, &format!("{name}.conv2"), [cout, cout, 3], 1)?,
            shortcut: (cin != cout)
                .then(|| conv(builder, &format!("{name}.convShortcut"), [cin, cout, 1], stride))
                .transpose()?,
        })
    }

    fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let activated = self.bn1.forward_relu_fused(x.clone(), pass);
        let hidden = self.conv1.forward_fused(&activated, None);
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward_fused(&activated, None),
            None => x,
        };
        let activated = self.bn2.forward_relu_fused(hidden, pass);
        pass.record(&self.name, self.conv2.forward_fused(&activated, Some(residual)))
    }
}

/// The network without its last layer: a convolution, three stages of (D - 4) / 6 units with widths 16 W, 32 W, 64 W,
/// BN, ReLU, global average pooling.
#[derive(Clone, Debug)]
pub struct WideResNet {
    conv1: Conv2d,
    units: Vec<Unit>,
    bn1: BatchNorm,
}

/// Makes a convolution with the initialization of the reference code: N(0, 2 / (k^2 out)).
fn conv(builder: &mut Builder, name: &str, dims: [usize; 3], stride: usize) -> Result<Conv2d, Error> {
    let [_, cout, k] = dims;
    Conv2d::new(builder, name, dims, stride, Init::Normal((2.0 / (k * k * cout) as f32).sqrt()))
}

impl WideResNet {
    /// Makes the network.
    ///
    /// # Errors
    /// See [`Builder::parameter`].
    pub fn new(builder: &mut Builder, depth: usize, width: usize) -> Result<Self, Error> {
        let n = (depth - 4) / 6;
        let widths = [16, 16 * width, 32 * width, 64 * width];
        let conv1 = conv(builder, "conv1", [3, widths[0], 3], 1)?;
        let mut units = Vec::new();
        for stage in 1..=3 {
            for i in 0..n {
                let cin = if i == 0 { widths[stage - 1] } else { widths[stage] };
                let stride = if i == 0 && stage > 1 { 2 } else { 1 };
                units.push(Unit::new(builder, &format!("block{stage}.layer.{i}"), cin, widths[stage], stride)?);
            }
        }
        let bn1 = BatchNorm::new(builder, "bn1", widths[3])?;
        Ok(Self { conv1, units, bn1 })
    }

    /// Feature maps of pixels `[B, 3, 32, 32]` -> latent `[B, 64 W]`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<2> {
        let first = pass.record("conv1", self.conv1.forward(x));
        let hidden = self.units.iter().fold(first, |h, unit| unit.forward(h, pass));
        let activated = self.bn1.forward_relu(hidden, pass);
        pass.record("bn1", activated).linear(kernel::mean_pool)
    }

    /// Returns all tensors in the order of the state dict.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        let mut tensors = self.conv1.named_tensors();
        for unit in &mut self.units {
            tensors.extend(unit.bn1.named_tensors());
            tensors.extend(unit.conv1.named_tensors());
            tensors.extend(unit.bn2.named_tensors());
            tensors.extend(unit.conv2.named_tensors());
            tensors.extend(unit.shortcut.iter_mut().flat_map(Conv2d::named_tensors));
        }
        tensors.extend(self.bn1.named_tensors());
        tensors
    }

    /// Returns the batch normalizations in the order of the forward pass.
    pub fn batch_norms(&mut self) -> Vec<&mut BatchNorm> {
        let units = self.units.iter_mut().flat_map(|unit| [&mut unit.bn1, &mut unit.bn2]);
        units.chain([&mut self.bn1]).collect()
    }
}
