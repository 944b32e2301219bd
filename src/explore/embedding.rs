//! Two-dimensional embedding of images: the principal plane of a model's latents, with the decision regions of its last
//! layer.
//!
//! The plane and the regions are computed once per model from reference images. The path of an attack is then projected
//! to that plane.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{pca::PrincipalPlane, tensor};
use crate::{
    attack::{Error, query::read},
    data::IMAGE_LEN,
    model::{Model, Pass},
    prediction::top,
};

/// Batch size of the forward passes.
const BATCH: usize = 64;
/// Margin on each side of the points, as a fraction of their extent.
const MARGIN: f32 = 0.15;

/// The embedding of the reference images of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// The plane of the latents.
    pub plane: PrincipalPlane,
    /// `[N]`, the coordinates of the reference images.
    pub points: Vec<[f32; 2]>,
    /// `[N]`, the classes of the reference images.
    pub labels: Vec<u16>,
    /// The decision regions around the reference images.
    pub regions: DecisionRegions,
}

/// A rectangle of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The lower end along each axis.
    pub low: [f32; 2],
    /// The upper end along each axis.
    pub high: [f32; 2],
}

/// The predicted class in each cell of a grid over a rectangle of the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRegions {
    /// The rectangle.
    pub bounds: Bounds,
    /// Number of cells along each side.
    pub side: usize,
    /// `[side, side]`, the predicted class at the center of each cell. Rows run along the second axis, columns along
    /// the first, both in ascending order.
    pub classes: Vec<u16>,
}

impl Embedding {
    /// Computes the embedding of reference images `x` (`[N, 3, 32, 32]` in [0,1]) with labels `[N]`, with decision
    /// regions of `side` x `side` cells.
    ///
    /// # Errors
    /// If images and labels do not match, the latents are not finite, or the device fails.
    pub async fn new(model: &Model, device: &Device, x: &[f32], labels: &[u16], side: usize) -> Result<Self, Error> {
        if x.len() != labels.len() * IMAGE_LEN {
            return Err(Error::Unsuited("the numbers of reference images and labels differ".into()));
        }
        let latents = latents(model, device, x).await?;
        let plane = PrincipalPlane::fit(&latents, latents.len() / labels.len().max(1))?;
        let points = plane.project(&latents);
        let regions = DecisionRegions::new(model, device, &plane, Bounds::around(&points), side).await?;
        Ok(Self { plane, points, labels: labels.to_vec(), regions })
    }

    /// Projects images (`[N, 3, 32, 32]` in [0,1]) to the plane. The points can be outside the bounds of the regions.
    ///
    /// # Errors
    /// If the model has another latent size than the plane, or the device fails.
    pub async fn project(&self, model: &Model, device: &Device, x: &[f32]) -> Result<Vec<[f32; 2]>, Error> {
        let latents = latents(model, device, x).await?;
        if latents.len() * IMAGE_LEN != self.plane.mean.len() * x.len() {
            return Err(Error::Unsuited("the plane belongs to another model: compute it again".into()));
        }
        Ok(self.plane.project(&latents))
    }
}

impl Bounds {
    /// Returns a rectangle that contains all points with a margin.
    pub fn around(points: &[[f32; 2]]) -> Self {
        let first = points.first().copied().unwrap_or_default();
        let mut bounds = Self { low: first, high: first };
        for (point, axis) in points.iter().flat_map(|p| [(p, 0), (p, 1)]) {
            bounds.low[axis] = bounds.low[axis].min(point[axis]);
            bounds.high[axis] = bounds.high[axis].max(point[axis]);
        }
        for axis in 0..2 {
            let extent = bounds.high[axis] - bounds.low[axis];
            let margin = if extent > 0.0 { MARGIN * extent } else { 1.0 };
            bounds.low[axis] -= margin;
            bounds.high[axis] += margin;
        }
        bounds
    }

    /// Returns whether the rectangle contains a point.
    pub fn contains(&self, point: [f32; 2]) -> bool {
        (0..2).all(|axis| (self.low[axis]..=self.high[axis]).contains(&point[axis]))
    }
}

impl DecisionRegions {
    /// Predicts the class at the center of each of `side` x `side` cells (`side` at least 1). Only the last layer is
    /// evaluated.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn new(
        model: &Model,
        device: &Device,
        plane: &PrincipalPlane,
        bounds: Bounds,
        side: usize,
    ) -> Result<Self, Error> {
        let cell_center = |axis: usize, cell: usize| {
            bounds.low[axis] + (bounds.high[axis] - bounds.low[axis]) * (cell as f32 + 0.5) / side as f32
        };
        let cells = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
        let latents: Vec<f32> =
            cells.flat_map(|(row, column)| plane.unproject([cell_center(0, column), cell_center(1, row)])).collect();
        let latents: Tensor<2> = Tensor::from_data(TensorData::new(latents, [side * side, plane.mean.len()]), device);
        let logits = read(model.classify(latents).value).await?;
        Ok(Self { bounds, side, classes: logits.chunks(model.classes).map(|z| top(z) as u16).collect() })
    }
}

/// Computes the latents `[N, L]` of images (`[N, 3, 32, 32]` in [0,1]).
///
/// # Errors
/// If the device fails.
pub async fn latents(model: &Model, device: &Device, x: &[f32]) -> Result<Vec<f32>, Error> {
    let mut latents = Vec::new();
    for x in x.chunks(BATCH * IMAGE_LEN) {
        latents.extend(read(model.forward(tensor(x, device)?, &mut Pass::inference()).latent.value).await?);
    }
    Ok(latents)
}
