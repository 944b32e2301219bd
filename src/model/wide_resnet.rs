//! WideResNet-D-W (Zagoruyko and Komodakis, 2016) for 32x32 images, as TRADES and the OTJR reference build it.

use crate::kernel;

use super::{
    Error, Pass,
    dual::Dual,
    layers::{BatchNorm, Conv},
    parameter::{Builder, Init, Slot},
};

/// Pre-activation unit: BN, ReLU, conv, BN, ReLU, conv, plus the shortcut.
#[derive(Clone, Debug)]
struct Unit {
    name: String,
    bn1: BatchNorm,
    conv1: Conv,
    bn2: BatchNorm,
    conv2: Conv,
    /// 1x1, where the number of channels changes; it then sees the activated input.
    shortcut: Option<Conv>,
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
        let activated = self.bn1.activate(x.clone(), pass);
        let hidden = self.conv1.forward_activated(&activated, None);
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward_activated(&activated, None),
            None => x,
        };
        let activated = self.bn2.activate(hidden, pass);
        pass.record(&self.name, self.conv2.forward_activated(&activated, Some(residual)))
    }
}

/// conv, three stages of (D - 4) / 6 units at widths 16 W, 32 W, 64 W, BN, ReLU, mean pool.
#[derive(Clone, Debug)]
pub struct WideResNet {
    conv1: Conv,
    units: Vec<Unit>,
    bn1: BatchNorm,
}

/// The reference's initialization: N(0, 2 / (k^2 out)).
fn conv(builder: &mut Builder, name: &str, dims: [usize; 3], stride: usize) -> Result<Conv, Error> {
    let [_, cout, k] = dims;
    Conv::new(builder, name, dims, stride, Init::Normal((2.0 / (k * k * cout) as f32).sqrt()))
}

impl WideResNet {
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

    /// Maps of pixels `[B, 3, 32, 32]` -> latent `[B, 64 W]`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<2> {
        let first = pass.record("conv1", self.conv1.forward(x));
        let hidden = self.units.iter().fold(first, |h, unit| unit.forward(h, pass));
        let activated = self.bn1.forward_relu(hidden, pass);
        pass.record("bn1", activated).linear(kernel::mean_pool)
    }

    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        let mut slots = self.conv1.slots();
        for unit in &mut self.units {
            slots.extend(unit.bn1.slots());
            slots.extend(unit.conv1.slots());
            slots.extend(unit.bn2.slots());
            slots.extend(unit.conv2.slots());
            slots.extend(unit.shortcut.iter_mut().flat_map(Conv::slots));
        }
        slots.extend(self.bn1.slots());
        slots
    }

    /// In the order of the forward pass.
    pub fn batch_norms(&mut self) -> Vec<&mut BatchNorm> {
        let units = self.units.iter_mut().flat_map(|unit| [&mut unit.bn1, &mut unit.bn2]);
        units.chain([&mut self.bn1]).collect()
    }
}
