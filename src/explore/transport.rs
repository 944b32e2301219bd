//! The optimal transport of adversarial logits onto clean ones along random lines, as L_SW sees it: who goes where on each
//! line, what each line adds, and where every image is pulled in all.
//!
//! The same numbers as [`crate::loss::sliced_wasserstein`], here on the host, in float64, with all of the matching to see.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::pca::PrincipalPlane;
use crate::{
    attack::{Error, query::read},
    loss::sliced_wasserstein as sw,
    random::{self, StreamId},
};

/// The transport of a batch of adversarial logits a `[B, C]` onto the clean ones z `[B, C]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransportPlan {
    /// L_SW: the mean over projections and images of delta^2.
    pub value: f32,
    /// `[K]`.
    pub projections: Vec<Projection>,
    /// m_i / K, the mean over the projections of delta_ik theta_k, `[B, C]`, in logits.
    pub movement: Vec<f32>,
    /// m_i at unit length, `[B, C]`, along which the Jacobian penalty looks; 0 for an image that does not move.
    pub direction: Vec<f32>,
    /// The plane in which clean and adversarial logits together are widest.
    pub plane: PrincipalPlane,
    /// `[B]`, in that plane.
    pub arrows: Vec<TransportArrow>,
}

/// One line theta_k through the logits' space, and the matching on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Unit, `[C]`.
    pub theta: Vec<f32>,
    /// The images in the order of their clean values, `[B]`.
    pub clean: Vec<ProjectedImage>,
    /// The images in the order of their adversarial values, `[B]`: the one of rank r goes to the clean value of rank r.
    pub adversarial: Vec<ProjectedImage>,
    /// The mean over the images of delta_ik^2.
    pub mean_square: f32,
    /// What it adds to L_SW, as a share of it; 0 if L_SW is.
    pub share: f32,
    /// L_SW of this projection and those before it: how the estimate settles.
    pub cumulative: f32,
}

/// An image on a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectedImage {
    pub image: usize,
    /// theta_k . z_i or theta_k . a_i, in logits.
    pub value: f32,
}

/// An image in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransportArrow {
    /// z_i.
    pub clean: [f32; 2],
    /// a_i.
    pub adversarial: [f32; 2],
    /// a_i + m_i / K.
    pub to: [f32; 2],
}

/// `k` projections of R^`classes` as training draws them, `[C, K]`.
pub async fn projections(seed: u64, classes: usize, k: usize, device: &Device) -> Result<Vec<f32>, Error> {
    read(sw::projections(&mut random::stream(seed, StreamId::Directions, 0), classes, k, device)).await
}

/// The transport of adversarial logits `a` onto clean ones `z`, `[B, C]` each, along the unit columns of `theta` `[C, K]`.
/// At least two classes, one image and one projection.
pub fn compute_transport(z: &[f32], a: &[f32], theta: &[f32], classes: usize) -> Result<TransportPlan, Error> {
    let whole = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(classes.max(1));
    if z.len() != a.len() || !whole(z) || !whole(theta) {
        return Err(Error::Unsuited(format!("logits and projections are not of {classes} classes")));
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
        let (clean, adversarial) = (sorted(z, &theta), sorted(a, &theta));
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

/// The images with their values on a line, the lowest first, ties in order of position.
fn sorted(logits: &[f32], theta: &[f32]) -> Vec<(usize, f64)> {
    let mut line: Vec<_> = logits.chunks(theta.len()).map(|z| super::dot(z, theta)).enumerate().collect();
    line.sort_by(|a, b| a.1.total_cmp(&b.1));
    line
}
