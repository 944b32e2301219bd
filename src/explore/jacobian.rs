//! Input gradients of the logits along a direction, the quantity that the Jacobian penalty penalizes.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{cosine, dot};
use crate::{
    attack::{Error, ModelOracle, query::read},
    loss::sliced_wasserstein as sw,
    model::Classifier,
    random::{self, StreamId},
};

/// The gradients u_i = d(v_i . z_i)/dx_i of the logits z_i along directions v_i, for a batch of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianResponse {
    /// `[B]`, the Euclidean norms ||u_i||, in logits per unit of pixel values.
    pub norms: Vec<f32>,
    /// `[B]`, the cosine similarity of u_i and the perturbation x~_i - x_i, in [-1,1]; `None` if one of them is 0.
    pub alignment: Vec<Option<f32>>,
    /// The Jacobian penalty R = C/B sum_i ||u_i||^2 in inference mode (see [`crate::loss::jacobian`]).
    pub penalty: f32,
    /// `[3, 32, 32]` each, u_i of the selected images in the order of selection.
    pub maps: Vec<Vec<f32>>,
}

/// Draws a random unit vector of length `classes` for each of `images` images, `[B, C]`, as the random Jacobian penalty
/// does.
///
/// # Errors
/// If the device fails.
pub async fn random_directions(seed: u64, images: usize, classes: usize, device: &Device) -> Result<Vec<f32>, Error> {
    read(sw::directions(&mut random::stream(seed, StreamId::Directions, 1), images, classes, device)).await
}

/// Computes the gradients of the logits of images `x` along the directions `v`, `[B, C]`, and compares them with the
/// perturbations `x_adv - x`.
///
/// `x` and `x_adv` are `[B, 3, 32, 32]` in [0,1]. The result contains the gradients of the images with the indices
/// `selected`; indices beyond the batch are ignored.
///
/// # Errors
/// If the sizes do not match, the gradient is not finite, or the device fails.
pub async fn response(
    query: &ModelOracle<'_, impl Classifier>,
    x: &[f32],
    x_adv: &[f32],
    v: &[f32],
    selected: &[usize],
) -> Result<JacobianResponse, Error> {
    let images = x.len() / query.values();
    if images == 0 || x.len() != images * query.values() || x_adv.len() != x.len() {
        return Err(Error::Unsuited("each image needs an adversarial image of the same size".into()));
    }
    let classes = v.len() / images;
    let cotangent = |i: usize, z: &[f32], dz: &mut [f32]| {
        if z.len() == classes {
            dz.copy_from_slice(&v[i * classes..(i + 1) * classes]);
        }
    };
    let (logits, gradients) = query.gradient(x, cotangent).await?;
    if logits.classes * images != v.len() {
        return Err(Error::Unsuited("each image needs a direction with one entry per class".into()));
    }
    let image_gradients = || gradients.chunks(query.values());
    let perturbation: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
    let squared_norms: Vec<f64> = image_gradients().map(|u| dot(u, u)).collect();
    Ok(JacobianResponse {
        penalty: (squared_norms.iter().sum::<f64>() * classes as f64 / images as f64) as f32,
        norms: squared_norms.iter().map(|square| square.sqrt() as f32).collect(),
        alignment: image_gradients().zip(perturbation.chunks(query.values())).map(|(u, d)| cosine(u, d)).collect(),
        maps: selected.iter().filter_map(|&i| image_gradients().nth(i)).map(<[f32]>::to_vec).collect(),
    })
}
