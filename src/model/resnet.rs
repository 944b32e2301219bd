//! ResNet-18 for 32x32 images (He et al., 2016), plain and pre-activation, with the parameter names of common
//! robustness repositories.

use crate::kernel;

use super::{
    Error, Pass,
    dual::Dual,
    layers::{BatchNorm, Conv2d},
    parameter::{Builder, Init, NamedTensor},
};

/// Residual block: two 3x3 convolutions and a shortcut. The plain block normalizes after each convolution, the
/// pre-activation block before it.
#[derive(Clone, Debug)]
struct Block {
    name: String,
    pre_activation: bool,
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// 1x1 convolution if the shape changes; the plain block also normalizes it.
    shortcut: Option<(Conv2d, Option<BatchNorm>)>,
}

impl Block {
    fn new(
        builder: &mut Builder,
        name: &str,
        [cin, cout]: [usize; 2],
        stride: usize,
        pre_activation: bool,
    ) -> Result<Self, Error> {
        let conv1 = conv(builder, &format!("{name}.conv1"), [cin, cout, 3], stride)?;
        let bn1 = BatchNorm::new(builder, &format!("{name}.bn1"), if pre_activation { cin } else { cout })?;
        let conv2 = conv(builder, &format!("{name}.conv2"), [cout, cout, 3], 1)?;
        let bn2 = BatchNorm::new(builder, &format!("{name}.bn2"), cout)?;
        let shortcut = if stride != 1 || cin != cout {
            let projection = conv(builder, &format!("{name}.shortcut.0"), [cin, cout, 1], stride)?;
            let norm = (!pre_activation).then(|| BatchNorm::new(builder, &format!("{name}.shortcut.1"), cout));
            Some((projection, norm.transpose()?))
        } else {
            None
        };
        Ok(Self { name: name.into(), pre_activation, conv1, bn1, conv2, bn2, shortcut })
    }

    fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<4> {
        let output = if self.pre_activation {
            let activated = self.bn1.forward_relu_fused(x.clone(), pass);
            let hidden = self.conv1.forward_fused(&activated, None);
            let residual = match &self.shortcut {
                Some((projection, _)) => projection.forward_fused(&activated, None),
                None => x,
            };
            let activated = self.bn2.forward_relu_fused(hidden, pass);
            self.conv2.forward_fused(&activated, Some(residual))
        } else {
            let activated = self.bn1.forward_relu_fused(self.conv1.forward(x.clone()), pass);
            let hidden = self.bn2.forward(self.conv2.forward_fused(&activated, None), pass);
            let residual = match &self.shortcut {
                Some((projection, Some(norm))) => norm.forward(projection.forward(x), pass),
                Some((projection, None)) => projection.forward(x),
                None => x,
            };
            (hidden + residual).relu()
        };
        pass.record(&self.name, output)
    }
}

/// The network without its last layer: a convolution, four stages of two blocks with widths w, 2w, 4w, 8w, global
/// average pooling.
#[derive(Clone, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    /// After the first convolution in the plain network (`bn1`), before the pooling in the pre-activation network
    /// (`bn`).
    norm: BatchNorm,
    pre_activation: bool,
    blocks: Vec<Block>,
}

/// Makes a convolution with PyTorch's default initialization: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
fn conv(builder: &mut Builder, name: &str, dims: [usize; 3], stride: usize) -> Result<Conv2d, Error> {
    let [cin, _, k] = dims;
    Conv2d::new(builder, name, dims, stride, Init::Uniform(1.0 / ((cin * k * k) as f32).sqrt()))
}

impl ResNet {
    /// Makes the network; `width` is w.
    ///
    /// # Errors
    /// See [`Builder::parameter`].
    pub fn new(builder: &mut Builder, width: usize, pre_activation: bool) -> Result<Self, Error> {
        let conv1 = conv(builder, "conv1", [3, width, 3], 1)?;
        let norm = if pre_activation {
            BatchNorm::new(builder, "bn", 8 * width)?
        } else {
            BatchNorm::new(builder, "bn1", width)?
        };
        let mut blocks = Vec::new();
        let mut cin = width;
        for stage in 1..=4 {
            let cout = width << (stage - 1);
            for i in 0..2 {
                let stride = if i == 0 && stage > 1 { 2 } else { 1 };
                blocks.push(Block::new(builder, &format!("layer{stage}.{i}"), [cin, cout], stride, pre_activation)?);
                cin = cout;
            }
        }
        Ok(Self { conv1, norm, pre_activation, blocks })
    }

    /// Feature maps of pixels `[B, 3, 32, 32]` -> latent `[B, 8 w]`.
    pub fn forward(&self, x: Dual<4>, pass: &mut Pass) -> Dual<2> {
        let mut hidden = pass.record("conv1", self.conv1.forward(x));
        if !self.pre_activation {
            hidden = self.norm.forward_relu(hidden, pass);
        }
        hidden = self.blocks.iter().fold(hidden, |h, block| block.forward(h, pass));
        if self.pre_activation {
            let activated = self.norm.forward_relu(hidden, pass);
            hidden = pass.record("bn", activated);
        }
        hidden.linear(kernel::mean_pool)
    }

    /// Returns all tensors in the order of the state dict.
    pub fn named_tensors(&mut self) -> Vec<&mut dyn NamedTensor> {
        let mut tensors = self.conv1.named_tensors();
        tensors.extend(self.norm.named_tensors());
        for block in &mut self.blocks {
            tensors.extend(block.conv1.named_tensors());
            tensors.extend(block.bn1.named_tensors());
            tensors.extend(block.conv2.named_tensors());
            tensors.extend(block.bn2.named_tensors());
            for (projection, norm) in block.shortcut.iter_mut() {
                tensors.extend(projection.named_tensors());
                tensors.extend(norm.iter_mut().flat_map(BatchNorm::named_tensors));
            }
        }
        tensors
    }

    /// Returns the batch normalizations in the order of the forward pass.
    pub fn batch_norms(&mut self) -> Vec<&mut BatchNorm> {
        let mut norms: Vec<&mut BatchNorm> = Vec::new();
        for block in &mut self.blocks {
            norms.extend([&mut block.bn1, &mut block.bn2]);
            norms.extend(block.shortcut.iter_mut().filter_map(|(_, norm)| norm.as_mut()));
        }
        let at = if self.pre_activation { norms.len() } else { 0 };
        norms.insert(at, &mut self.norm);
        norms
    }
}
