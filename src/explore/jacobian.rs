//! What the Jacobian penalty sees: how strongly logits react to pixels along a direction, and where in the picture.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{cosine, dot};
use crate::{
    attack::{Classifier, Error, Query, query::read},
    loss::sliced_wasserstein as sw,
    random::{self, Purpose},
};

/// u_i = d(v_i . z_i)/dx_i for a batch of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    /// `[B]`, ||u_i||, Euclidean: logits per unit of pixels.
    pub norms: Vec<f32>,
    /// `[B]`, the cosine of the angle between u_i and x~_i - x_i, in [-1,1]; none where one of them is 0.
    pub alignment: Vec<Option<f32>>,
    /// R = C/B sum_i ||u_i||^2, in inference mode.
    pub penalty: f32,
    /// `[3, 32, 32]`, u_i of each picture that was chosen, in that order.
    pub maps: Vec<Vec<f32>>,
}

/// A random unit direction of R^`classes` for each of `pictures`, `[B, C]`: those of the random Jacobian penalty.
pub async fn random_directions(seed: u64, pictures: usize, classes: usize, device: &Device) -> Result<Vec<f32>, Error> {
    read(sw::directions(&mut random::stream(seed, Purpose::Directions, 1), pictures, classes, device)).await
}

/// How the logits of pictures `x` react along the directions `v` `[B, C]`, compared with their adversarial twins `x_adv`.
/// Maps are kept of the pictures `chosen`, by number; there are none of numbers beyond the batch.
pub async fn reaction(
    query: &Query<'_, impl Classifier>,
    x: &[f32],
    x_adv: &[f32],
    v: &[f32],
    chosen: &[usize],
) -> Result<Reaction, Error> {
    let pictures = x.len() / query.values();
    if pictures == 0 || x.len() != pictures * query.values() || x_adv.len() != x.len() {
        return Err(Error::Unsuited("every picture needs an attacked one of the same size".into()));
    }
    let classes = v.len() / pictures;
    let cotangent = |i: usize, z: &[f32], dz: &mut [f32]| {
        if z.len() == classes {
            dz.copy_from_slice(&v[i * classes..(i + 1) * classes]);
        }
    };
    let (logits, gradients) = query.gradient(x, cotangent).await?;
    if logits.classes * pictures != v.len() {
        return Err(Error::Unsuited("every picture needs a direction with an entry for each class".into()));
    }
    let u = || gradients.chunks(query.values());
    let perturbation: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
    let squares: Vec<f64> = u().map(|u| dot(u, u)).collect();
    Ok(Reaction {
        penalty: (squares.iter().sum::<f64>() * classes as f64 / pictures as f64) as f32,
        norms: squares.iter().map(|square| square.sqrt() as f32).collect(),
        alignment: u().zip(perturbation.chunks(query.values())).map(|(u, d)| cosine(u, d)).collect(),
        maps: chosen.iter().filter_map(|&i| u().nth(i)).map(<[f32]>::to_vec).collect(),
    })
}
