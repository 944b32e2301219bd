//! What the Jacobian penalty sees: how strongly logits react to pixels along a direction, and where in the image.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{cosine, dot};
use crate::{
    attack::{Error, ModelOracle, query::read},
    loss::sliced_wasserstein as sw,
    model::Classifier,
    random::{self, StreamId},
};

/// u_i = d(v_i . z_i)/dx_i for a batch of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianResponse {
    /// `[B]`, ||u_i||, Euclidean: logits per unit of pixels.
    pub norms: Vec<f32>,
    /// `[B]`, the cosine of the angle between u_i and x~_i - x_i, in [-1,1]; none where one of them is 0.
    pub alignment: Vec<Option<f32>>,
    /// R = C/B sum_i ||u_i||^2, in inference mode.
    pub penalty: f32,
    /// `[3, 32, 32]`, u_i of each image that was chosen, in that order.
    pub maps: Vec<Vec<f32>>,
}

/// A random unit direction of R^`classes` for each of `images`, `[B, C]`: those of the random Jacobian penalty.
pub async fn random_directions(seed: u64, images: usize, classes: usize, device: &Device) -> Result<Vec<f32>, Error> {
    read(sw::directions(&mut random::stream(seed, StreamId::Directions, 1), images, classes, device)).await
}

/// How the logits of images `x` react along the directions `v` `[B, C]`, compared with their adversarial images `x_adv`.
/// Maps are kept of the images `chosen`, by number; there are none of numbers beyond the batch.
pub async fn response(
    query: &ModelOracle<'_, impl Classifier>,
    x: &[f32],
    x_adv: &[f32],
    v: &[f32],
    chosen: &[usize],
) -> Result<JacobianResponse, Error> {
    let images = x.len() / query.values();
    if images == 0 || x.len() != images * query.values() || x_adv.len() != x.len() {
        return Err(Error::Unsuited("every image needs an attacked one of the same size".into()));
    }
    let classes = v.len() / images;
    let cotangent = |i: usize, z: &[f32], dz: &mut [f32]| {
        if z.len() == classes {
            dz.copy_from_slice(&v[i * classes..(i + 1) * classes]);
        }
    };
    let (logits, gradients) = query.gradient(x, cotangent).await?;
    if logits.classes * images != v.len() {
        return Err(Error::Unsuited("every image needs a direction with an entry for each class".into()));
    }
    let u = || gradients.chunks(query.values());
    let perturbation: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
    let squares: Vec<f64> = u().map(|u| dot(u, u)).collect();
    Ok(JacobianResponse {
        penalty: (squares.iter().sum::<f64>() * classes as f64 / images as f64) as f32,
        norms: squares.iter().map(|square| square.sqrt() as f32).collect(),
        alignment: u().zip(perturbation.chunks(query.values())).map(|(u, d)| cosine(u, d)).collect(),
        maps: chosen.iter().filter_map(|&i| u().nth(i)).map(<[f32]>::to_vec).collect(),
    })
}
