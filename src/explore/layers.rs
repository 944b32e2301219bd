//! The change of each layer's output under an attack, and the channels that change most.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::tensor;
use crate::{
    attack::{Error, query::read},
    model::{Model, Pass},
};

/// The change of the output h of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerShift {
    /// `pixels`, a state-dict name, `latent` or `logits`.
    pub name: String,
    /// Channels, height, width; `[L, 1, 1]` for latent, `[C, 1, 1]` for logits.
    pub shape: [usize; 3],
    /// ||h(x~) - h(x)|| / ||h(x)|| in the Euclidean norm; `None` if h(x) is 0.
    pub relative_l2: Option<f32>,
    /// The cosine similarity of h(x~) and h(x), in [-1,1]; `None` if one of them is 0.
    pub cosine: Option<f32>,
}

/// The channels of a layer that change most, in descending order of change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelMaps {
    /// The name of the layer.
    pub layer: String,
    /// Channels of the layer, height, width.
    pub shape: [usize; 3],
    /// The channels.
    pub channels: Vec<ChannelMap>,
}

/// One channel of a layer for an image and its adversarial image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelMap {
    /// The index of the channel in its layer.
    pub index: usize,
    /// The Euclidean norm of the difference.
    pub difference: f32,
    /// `[H, W]`, the activations for the image.
    pub clean: Vec<f32>,
    /// `[H, W]`, the activations for the adversarial image.
    pub adversarial: Vec<f32>,
}

/// Runs an image `x` and its adversarial image through the network. Returns the name and output `[2, C, H, W]` of every
/// layer.
fn layer_outputs(model: &Model, device: &Device, x: &[f32], x_adv: &[f32]) -> Result<Vec<(String, Tensor<4>)>, Error> {
    let pair = tensor(&[x, x_adv].concat(), device)?;
    if pair.dims()[0] != 2 || x.len() != x_adv.len() {
        return Err(Error::Unsuited("layers can be compared for one image and one adversarial image only".into()));
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

/// Computes the change of each layer, from pixels to logits, between an image `x` and its adversarial image. Both are
/// `[3, 32, 32]` in [0,1].
///
/// The sums are computed on the device, so only three numbers per layer are read back, in one transfer.
///
/// # Errors
/// If the images have different sizes, or the device fails.
pub async fn layer_shifts(model: &Model, device: &Device, x: &[f32], x_adv: &[f32]) -> Result<Vec<LayerShift>, Error> {
    let layers = layer_outputs(model, device, x, x_adv)?;
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
        // 1 - cosine by the law of cosines, which avoids the cancellation of dot(h(x), h(x~)) for nearly equal outputs.
        let one_minus_cosine = (moved - (adversarial.sqrt() - clean.sqrt()).powi(2)) / (2.0 * lengths);
        LayerShift {
            name,
            shape: [channels, height, width],
            relative_l2: (clean > 0.0).then(|| (moved / clean).sqrt() as f32),
            cosine: (lengths > 0.0).then(|| (1.0 - one_minus_cosine).clamp(-1.0, 1.0) as f32),
        }
    };
    Ok(layers.into_iter().zip(sums.as_chunks().0).map(shift).collect())
}

/// Returns the `limit` channels of `layer` (a name from [`layer_shifts`]) that change most between an image `x` and its
/// adversarial image, `[3, 32, 32]` each.
///
/// # Errors
/// If the model does not have the layer, the images have different sizes, or the device fails.
pub async fn channel_maps(
    model: &Model,
    device: &Device,
    x: &[f32],
    x_adv: &[f32],
    layer: &str,
    limit: usize,
) -> Result<ChannelMaps, Error> {
    let mut layers = layer_outputs(model, device, x, x_adv)?;
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
    channels.truncate(limit);
    Ok(ChannelMaps { layer, shape: [count, height, width], channels })
}
