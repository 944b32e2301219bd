//! How far an attack moves an image in each layer, and the channels in which it moves most.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::tensor;
use crate::{
    attack::{Error, query::read},
    model::{Model, Pass},
};

/// How far one layer's output h has moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerShift {
    /// `pixels`, a state-dict name, `latent` or `logits`.
    pub name: String,
    /// Channels, height, width; `[L, 1, 1]` for latent, `[C, 1, 1]` for logits.
    pub shape: [usize; 3],
    /// ||h(x~) - h(x)|| / ||h(x)||, Euclidean; none where h(x) is 0.
    pub relative_l2: Option<f32>,
    /// The cosine of the angle between h(x~) and h(x), in [-1,1]; none where one of them is 0.
    pub cosine: Option<f32>,
}

/// The channels of a layer that have moved most, most first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelMaps {
    pub layer: String,
    /// Channels of the layer, height, width.
    pub shape: [usize; 3],
    pub channels: Vec<ChannelMap>,
}

/// One channel of a layer, before and after an attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelMap {
    pub index: usize,
    /// The Euclidean length of the difference.
    pub difference: f32,
    /// `[H, W]`, in the layer's own unit.
    pub clean: Vec<f32>,
    /// `[H, W]`.
    pub adversarial: Vec<f32>,
}

/// An image `x` and its adversarial image through the network: every layer's name and output `[2, C, H, W]`, in order.
fn layers(model: &Model, device: &Device, x: &[f32], x_adv: &[f32]) -> Result<Vec<(String, Tensor<4>)>, Error> {
    let pair = tensor(&[x, x_adv].concat(), device)?;
    if pair.dims()[0] != 2 || x.len() != x_adv.len() {
        return Err(Error::Unsuited("layers are compared for one image and one adversarial image at a time".into()));
    }
    let mut pass = Pass::recording();
    let output = model.forward(pair.clone(), &mut pass);
    let raise = |t: Tensor<2>| {
        let [b, n] = t.dims();
        t.reshape([b, n, 1, 1])
    };
    let mut layers = vec![("pixels".to_owned(), pair)];
    layers.append(&mut pass.activations);
    layers.push(("latent".to_owned(), raise(output.latent.value)));
    layers.push(("logits".to_owned(), raise(output.logits.value)));
    Ok(layers)
}

/// The shift of each layer between an image `x` and its adversarial image, `[3, 32, 32]` each, from pixels to logits.
/// The sums are made on the device, so that three numbers a layer are read back, all at once.
pub async fn layer_shifts(model: &Model, device: &Device, x: &[f32], x_adv: &[f32]) -> Result<Vec<LayerShift>, Error> {
    let layers = layers(model, device, x, x_adv)?;
    let dot = |a: &Tensor<4>, b: &Tensor<4>| (a.clone() * b.clone()).sum();
    let sums = layers.iter().flat_map(|(_, h)| {
        let (clean, adversarial) = (h.clone().narrow(0, 0, 1), h.clone().narrow(0, 1, 1));
        let moved = adversarial.clone() - clean.clone();
        [dot(&moved, &moved), dot(&clean, &clean), dot(&adversarial, &adversarial)]
    });
    let sums = read(Tensor::cat(sums.collect(), 0)).await?;
    let shift = |((name, h), sums): ((String, Tensor<4>), &[f32; 3])| {
        let [_, channels, height, width] = h.dims();
        let [moved, clean, adversarial] = sums.map(f64::from);
        let lengths = (clean * adversarial).sqrt();
        // The law of cosines, so that the little that a cosine lacks of 1 does not drown in rounding.
        let lack = (moved - (adversarial.sqrt() - clean.sqrt()).powi(2)) / (2.0 * lengths);
        LayerShift {
            name,
            shape: [channels, height, width],
            relative_l2: (clean > 0.0).then(|| (moved / clean).sqrt() as f32),
            cosine: (lengths > 0.0).then(|| (1.0 - lack).clamp(-1.0, 1.0) as f32),
        }
    };
    Ok(layers.into_iter().zip(sums.as_chunks().0).map(shift).collect())
}

/// The channels of `layer` (a name of [`layer_shifts`]) that have moved most, `at_most` so many.
pub async fn channel_maps(
    model: &Model,
    device: &Device,
    x: &[f32],
    x_adv: &[f32],
    layer: &str,
    at_most: usize,
) -> Result<ChannelMaps, Error> {
    let mut layers = layers(model, device, x, x_adv)?;
    let Some(at) = layers.iter().position(|(name, _)| name == layer) else {
        let names: Vec<_> = layers.into_iter().map(|(name, _)| name).collect();
        return Err(Error::Unsuited(format!("the model has no layer '{layer}': choose one of {}", names.join(", "))));
    };
    let (layer, h) = layers.swap_remove(at);
    let [_, count, height, width] = h.dims();
    let values = read(h).await?;
    let (clean, adversarial) = values.split_at(values.len() / 2);
    let channel = |(index, (clean, adversarial)): (usize, (&[f32], &[f32]))| {
        let square: f64 = clean.iter().zip(adversarial).map(|(&c, &a)| (f64::from(a) - f64::from(c)).powi(2)).sum();
        ChannelMap { index, difference: square.sqrt() as f32, clean: clean.to_vec(), adversarial: adversarial.to_vec() }
    };
    let size = height * width;
    let mut channels: Vec<_> = clean.chunks(size).zip(adversarial.chunks(size)).enumerate().map(channel).collect();
    channels.sort_by(|a, b| b.difference.total_cmp(&a.difference));
    channels.truncate(at_most);
    Ok(ChannelMaps { layer, shape: [count, height, width], channels })
}
