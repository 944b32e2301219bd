//! The sliced optimal transport of adversarial logits onto clean logits: the matching along each projection, its
//! contribution to the sliced Wasserstein distance, and the resulting movement of every image.
//!
//! Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", 2015. Computes the same numbers as
//! [`crate::loss::sliced_wasserstein`], but on the host, in float64, and including the matching.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::pca::PrincipalPlane;
use crate::{
    attack::{Error, query::read},
    loss::sliced_wasserstein as sw,
    random::{self, StreamId},
};

/// The transport of a batch of adversarial logits a, `[B, C]`, onto the clean logits z, `[B, C]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransportPlan {
    /// The loss L_SW: the mean of delta_ik^2 over projections and images.
    pub value: f32,
    /// `[K]`, the one-dimensional transports.
    pub projections: Vec<Projection>,
    /// `[B, C]`, m_i / K: the mean of delta_ik theta_k over the projections, in logits.
    pub movement: Vec<f32>,
    /// `[B, C]`, m_i normalized to length 1, the directions of the Jacobian penalty; 0 for images that do not move.
    pub direction: Vec<f32>,
    /// The principal plane of clean and adversarial logits together.
    pub plane: PrincipalPlane,
    /// `[B]`, the movement of each image in that plane.
    pub arrows: Vec<TransportArrow>,
}

/// The projection of the logits onto one direction theta_k, and the optimal matching of the projected values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// `[C]`, of length 1.
    pub theta: Vec<f32>,
    /// `[B]`, the images in ascending order of their clean values.
    pub clean: Vec<ProjectedImage>,
    /// `[B]`, the images in ascending order of their adversarial values. Rank r is matched with clean rank r.
    pub adversarial: Vec<ProjectedImage>,
    /// The mean of delta_ik^2 over the images.
    pub mean_square: f32,
    /// The fraction of L_SW that this projection contributes; 0 if L_SW is 0.
    pub share: f32,
    /// The estimate of L_SW from this projection and the previous ones.
    pub cumulative: f32,
}

/// The projected value of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectedImage {
    /// The index of the image in the batch.
    pub image: usize,
    /// theta_k . z_i or theta_k . a_i, in logits.
    pub value: f32,
}

/// The logits of an image in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransportArrow {
    /// The clean logits z_i.
    pub clean: [f32; 2],
    /// The adversarial logits a_i.
    pub adversarial: [f32; 2],
    /// The transported logits a_i + m_i / K.
    pub to: [f32; 2],
}

/// Draws `k` random projections `[C, K]` of unit length, as training does.
///
/// # Errors
/// If the device fails.
pub async fn projections(seed: u64, classes: usize, k: usize, device: &Device) -> Result<Vec<f32>, Error> {
    read(sw::projections(&mut random::stream(seed, StreamId::Directions, 0), classes, k, device)).await
}

/// Computes the transport of adversarial logits `a` onto clean logits `z`, `[B, C]` each, along the unit columns of
/// `theta`,
/// `[C, K]`. There must be at least two classes, one image and one projection.
///
/// # Errors
/// If the sizes do not match, or a value is not finite.
pub fn compute_transport(z: &[f32], a: &[f32], theta: &[f32], classes: usize) -> Result<TransportPlan, Error> {
    let whole = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(classes.max(1));
    if z.len() != a.len() || !whole(z) || !whole(theta) {
        return Err(Error::Unsuited(format!("the sizes of logits and projections do not match {classes} classes")));
    }
    let plane = PrincipalPlane::fit(&[z, a].concat(), classes)?;
    if !theta.iter().all(|v| v.is_finite()) {
        return Err(Error::NotFinite);
    }
    let (images, k) = (z.len() / classes, theta.len() / classes);
    let mut movement = vec![0f64; z.len()];
    let mut sum = 0.0;
    let mut projections = Vec::with_capacity(k);
    for number in 0..k {
        let theta: Vec<f32> = theta.iter().skip(number).step_by(k).copied().collect();
        let (clean, adversarial) = (sorted_projections(z, &theta), sorted_projections(a, &theta));
        let mut square = 0.0;
        for (&(_, to), &(i, from)) in clean.iter().zip(&adversarial) {
            let delta = to - from;
            square += delta * delta / images as f64;
            let row = &mut movement[i * classes..(i + 1) * classes];
            row.iter_mut().zip(&theta).for_each(|(m, &theta)| *m += delta * f64::from(theta));
        }
        sum += square;
        let projected = |line: Vec<(usize, f64)>| {
            line.into_iter().map(|(image, value)| ProjectedImage { image, value: value as f32 }).collect()
        };
        projections.push(Projection {
            theta,
            clean: projected(clean),
            adversarial: projected(adversarial),
            mean_square: square as f32,
            share: 0.0,
            cumulative: (sum / (number + 1) as f64) as f32,
        });
    }
    if sum > 0.0 {
        projections.iter_mut().for_each(|p| p.share = (f64::from(p.mean_square) / sum) as f32);
    }
    let unit = |m: &[f64]| {
        let length = m.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        m.iter().map(|v| (v / length) as f32).collect::<Vec<_>>()
    };
    let direction = movement.chunks(classes).flat_map(unit).collect();
    let movement: Vec<f32> = movement.into_iter().map(|m| (m / k as f64) as f32).collect();
    let to: Vec<f32> = a.iter().zip(&movement).map(|(a, m)| a + m).collect();
    let [clean, adversarial, to] = [z, a, &to].map(|points| plane.project(points));
    let arrow = |((clean, adversarial), to)| TransportArrow { clean, adversarial, to };
    let arrows = clean.into_iter().zip(adversarial).zip(to).map(arrow).collect();
    Ok(TransportPlan { value: (sum / k as f64) as f32, projections, movement, direction, plane, arrows })
}

/// Returns the image indices with their projected values in ascending order. Ties are in order of index.
fn sorted_projections(logits: &[f32], theta: &[f32]) -> Vec<(usize, f64)> {
    let mut line: Vec<_> = logits.chunks(theta.len()).map(|z| super::dot(z, theta)).enumerate().collect();
    line.sort_by(|a, b| a.1.total_cmp(&b.1));
    line
}
